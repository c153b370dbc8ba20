/** Old generations do not pile up in silence. */
import { expect, it } from 'vitest';
import { drainReminder } from '../../../src/effects/log/reminder.ts';
import { bootClock } from '../../../src/effects/os/clock.ts';
import type { Fact } from '../../../src/machines/facts.ts';
import { rosterChild, rosterOf } from '../../support/simulation.ts';

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
	rosterChild({ child: pid, pid, phase: 'draining', clock: bootClock() - ago });

it('a child that is told to leave is spoken of after 10 s, also where another one’s next time is an hour away', async () => {
	const said: string[] = [];
	const children = [draining(1, 61_000)];
	const reminder = drainReminder({ say: (_, text) => void said.push(text) }, () => rosterOf({ children }));
	reminder.note(told(1));
	children.push(draining(2, 9_900));
	reminder.note(told(2));
	await expect.poll(() => said).toEqual(['Still draining: 2 (told 10 s ago)']);
});
