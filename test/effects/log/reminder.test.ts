/** Old generations do not pile up in silence. */
import { expect, it } from 'vitest';
import { drainReminder } from '../../../src/effects/log/drainReminder.ts';
import { bootClock } from '../../../src/effects/os/clock.ts';
import type { Fact } from '../../../src/machines/facts/facts.ts';
import { childState, stateWith } from '../../support/simulation.ts';

const told = (child: number): Fact => ({
	type: 'child.signalled',
	seq: child,
	at: 0,
	child,
	signal: 'HUP',
	reason: 'drain',
});
/** Told to leave so many milliseconds ago. */
const draining = (pid: number, ago: number) =>
	childState({ child: pid, pid, phase: 'draining', clock: bootClock() - ago });

it('a child that is told to leave is spoken of after 10 s, also where another one’s next time is an hour away', async () => {
	const said: string[] = [];
	const children = [draining(1, 61_000)];
	const reminder = drainReminder({
		log: { say: (_, text) => void said.push(text) },
		state: () => stateWith({ children }),
		accepting: async () => new Map([[3, true]]),
	});
	reminder.note(told(1));
	children.push(draining(2, 9_900));
	reminder.note(told(2));
	await expect.poll(() => said).toEqual(['Still draining: 2 (told 10 s ago)']);
});

it('a child that was told to leave and accepts all the same is named with the signal that it did not leave on', async () => {
	const said: string[] = [];
	const children = [draining(3, 9_900)];
	const reminder = drainReminder({
		log: { say: (_, text) => void said.push(text) },
		state: () => stateWith({ children }),
		accepting: async () => new Map([[3, true]]),
	});
	reminder.note(told(3));
	await expect
		.poll(() => said)
		.toEqual([
			'Still draining: 3 (told 10 s ago, still accepts); a server that leaves stops accepting: does this one leave on SIGHUP (-signal)?',
		]);
});

it('a child that leaves while it is looked at is not spoken of any more', async () => {
	const said: string[] = [];
	const children = [draining(4, 9_900), draining(5, 9_900)];
	const reminder = drainReminder({
		log: { say: (_, text) => void said.push(text) },
		state: () => stateWith({ children }),
		accepting: async () => {
			children.shift();
			return new Map();
		},
	});
	reminder.note(told(4));
	await expect.poll(() => said).toEqual(['Still draining: 5 (told 10 s ago)']);
});
