/** The module for tests of others: `socketmaster/testing`. */
import { describe, expect, it } from 'vitest';
import { simulate } from '../../src/testing/testing.ts';

describe('a simulated supervisor', () => {
	it('rotates by simulated events, and tells what became of it', () => {
		const supervisor = simulate({ ready: 'notify' }).spawned(1).announced(1);
		expect(supervisor.state()).toBe('running');
		supervisor.decided();
		supervisor.signal('HUP').spawned(2).announced(2).verified(2);
		expect(supervisor.decided()).toEqual(['spawn 2', 'HUP to 1']);
		expect(supervisor.phases()).toEqual({ 1: 'draining', 2: 'serving' });
		expect(supervisor.rotations().at(-1)).toMatchObject({ generation: 2, result: 'promoted', replaced: [1] });
		expect(supervisor.log.at(-1)).toBe('Generation 2 is up (102); sending SIGHUP to 101');
	});

	it('keeps the old generation where the new one fails', () => {
		const supervisor = simulate().spawned(1).up(1).signal('HUP').spawned(2).exited(2, 3);
		expect(supervisor.rotations().at(-1)).toMatchObject({ generation: 2, result: 'failed', code: 'exited' });
		expect(supervisor.phases()).toEqual({ 1: 'serving' });
		expect(supervisor.supervisorState()).toMatchObject({ serving: 1, candidate: null });
	});

	it('ends with the status of its last child', () => {
		expect(simulate().spawned(1).up(1).exited(1, 4).status()).toBe(4);
		expect(simulate().spawned(1).up(1).status()).toBeUndefined();
		expect(simulate().spawned(1).up(1).signal('TERM').exited(1, 4).status()).toBe(0);
	});
});

describe('a slip in a test', () => {
	const serving = () => simulate().spawned(1).up(1);
	it.each<[string, () => unknown, RegExp]>([
		[
			'an option that does not exist',
			() => simulate({ workers: 3 } as object),
			/^there is no option workers; there are start, /,
		],
		['a value that does not exist', () => simulate({ ready: 'soon' } as object), /^ready can't be "soon"$/],
		['a signal that does not exist', () => serving().signal('SIGHUP' as 'HUP'), /^there is no event /],
		[
			'an event that does not exist',
			() => serving().tell({ type: 'nope' } as never),
			/^there is no event \{"type":"nope"\}$/,
		],
		['an event as text', () => serving().tell('check.passed' as never), /^there is no event "check.passed"$/],
		['a child that does not exist', () => serving().exited(7), /^child\.exited: there is no child 7$/],
		['a child that is spawned twice', () => serving().spawned(1), /^child\.spawned: child 1 has a process already$/],
		[
			'a child that was not spawned',
			() => serving().signal('HUP').exited(2),
			/^child\.exited: child 2 has no process yet$/,
		],
	])('(%s) throws', (_, slip, message) => {
		expect(slip).toThrow(message);
	});
});
