/** What a running supervisor says of itself beside its facts: connections, STATUS= texts, and earlier rotations. */
import { computed, effect, signal } from '@preact/signals';
import type { Report } from '../machines/facts/feed.ts';
import { branch, isLive, source, total } from './store.ts';

const newest = signal<Report | null>(null);

/** The newest report while the present of a supervisor that lives is shown; else null: it tells nothing of another moment. */
export const report = computed(() => (isLive.value ? newest.value : null));

/** The rotations that a running supervisor keeps, whatever moment is shown. */
export const keptRotations = computed(() => (branch.value ? [] : (newest.value?.rotations ?? [])));

/** The shortest time between two requests, in milliseconds. */
const pause = 2000;

/** Set to false for a journal, which has no supervisor to ask. */
let isWanted = true;
let isAsking = false;

/** Asks when facts come, and while a supervisor that lives is shown. A journal has no supervisor to ask: it is asked once. */
export function followReport(): void {
	let run: string | null = null;
	effect(() => {
		if (source.value?.run === run) return;
		run = source.value?.run ?? null;
		isWanted = true;
		newest.value = null;
	});
	effect(() => {
		total.value;
		if (isLive.value) void ask();
	});
	setInterval(() => isLive.value && !document.hidden && void ask(), pause);
}

async function ask() {
	if (!isWanted || isAsking) return;
	isAsking = true;
	try {
		const response = await fetch('report');
		if (response.status === 204) isWanted = false;
		else if (response.ok) newest.value = await response.json();
	} catch {
		// The page says by itself that the connection is lost.
	}
	setTimeout(() => {
		isAsking = false;
	}, pause / 2);
}
