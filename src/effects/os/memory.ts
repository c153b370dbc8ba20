/** Keeps the memory of a supervisor small: it works for seconds and rests for weeks. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** After this time without a fact the supervisor rests, in milliseconds. */
const calmMs = 2000;

/** Facts, about two rotations, whose garbage is worth a collection of 10 ms. */
const worthwhile = 20;

/**
 * Follows the facts, and gives memory back when a start, a rotation or a burst of them is over. Left alone, V8 lets its
 * young generation grow with the garbage of a rotation, and collects the old one when it has become hundreds of MB.
 */
export function memoryKeeper(): { note: () => void } {
	let facts = worthwhile;
	let collect: (() => void) | null = null;
	const rest = () => {
		if (facts < worthwhile) return;
		facts = 0;
		collect ??= keepYoungSmall();
		collect();
	};
	const calm = setTimeout(rest, calmMs).unref();
	return {
		note: () => {
			facts += 1;
			calm.refresh();
		},
	};
}

/**
 * Lets V8's young generation grow no more. A flag of V8 changes the mark by which V8 knows its code caches, so it is set
 * only after all code of a start has been loaded.
 * @returns a function that collects all garbage
 */
function keepYoungSmall(): () => void {
	setFlagsFromString('--semi-space-growth-factor=1');
	setFlagsFromString('--expose-gc');
	const collect: unknown = runInNewContext('gc');
	setFlagsFromString('--no-expose-gc');
	return typeof collect === 'function' ? () => collect() : () => {};
}
