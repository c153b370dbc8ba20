import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJournal } from '../../src/effects/journal/lines.ts';
import { branchFrom, branchFromNothing } from '../../src/inspector/branch.ts';
import { journalOf, testOf } from '../../src/inspector/exports.ts';
import { endOf, nextEvents } from '../../src/machines/simulation/nextEvents.ts';
import { createReplay } from '../../src/machines/simulation/replay.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { plan, running } from '../support/simulation.ts';
import { choices, factsOf, storyOf } from './history.ts';

/** Somebody presses buttons. */
function play(branch: ReturnType<typeof branchFromNothing>, pressed: number[]) {
	for (const press of pressed) {
		const supervisorState = branch.supervisorState();
		if (!supervisorState || branch.state() === 'stopped') return;
		const events = nextEvents(supervisorState, branch.upgrade(), branch.nonChildren);
		const { external, after } = events[press % events.length] ?? events[0] ?? { external: null, after: 0 };
		if (external) branch.tell(external, after);
	}
}

describe('what is imagined', () => {
	it('begins exactly where the moment was, at every moment of every life', () => {
		fc.assert(
			fc.property(choices, fc.nat(), fc.integer({ min: 1, max: 3 }), (happened, at, size) => {
				const facts = factsOf(happened, size);
				const timeline = storyOf(facts);
				const place = timeline.endOfStep(at % facts.length);
				const replay = createReplay();
				const states = facts.slice(0, place + 1).map((fact) => replay.tell(fact).after);
				expect(branchFrom(timeline, place).describe()).toBe(states.at(-1));
			}),
			{ numRuns: 150 },
		);
	});

	it('goes on with an upgrade that is under way', () => {
		const timeline = storyOf(running().tell({ type: 'signal.USR2' }).history);
		const branch = branchFrom(timeline, timeline.entries.length - 1);
		expect(branch.describe()).toBe('running 1:serving upgrade:checking');
	});

	it('recovers from a kill as the program does: a candidate without a process is started anew', () => {
		const timeline = storyOf(running().signal('HUP').history);
		const branch = branchFrom(timeline, timeline.entries.length - 1);
		const killed = nextEvents(branch.supervisorState() as SupervisorState, branch.upgrade(), branch.nonChildren).find(
			({ what }) => what.startsWith('it is killed, and'),
		);
		if (killed) branch.tell(killed.external, 0);
		expect(branch.describe()).toBe('rotating 1:serving 3:spawning');
		const offered = nextEvents(branch.supervisorState() as SupervisorState, branch.upgrade(), branch.nonChildren);
		expect(offered.filter(({ to }) => to.startsWith('child 1')).map(({ what }) => what)).toEqual([
			'it exits with unknown status',
			'it ends, and leaves a worker',
		]);
	});

	it('is decided by the charts alone, whatever is pressed: a replay of it decides the same', () => {
		fc.assert(
			fc.property(fc.array(fc.nat(1000), { maxLength: 40 }), (pressed) => {
				const branch = branchFromNothing({ ...plan, kill: 500, size: 2 }, 1_700_000_000_000);
				play(branch, pressed);
				expect(branch.timeline.entries.flatMap(({ difference }) => difference ?? [])).toEqual([]);
			}),
			{ numRuns: 100 },
		);
	});

	it('is a journal that is read whole, and replays to the same', () => {
		fc.assert(
			fc.property(fc.array(fc.nat(1000), { maxLength: 40 }), (pressed) => {
				const branch = branchFromNothing({ ...plan, kill: 500 }, 1_700_000_000_000);
				play(branch, pressed);
				const { lines, problems } = readJournal(Buffer.from(journalOf(branch, '1.0.0')));
				expect(problems).toEqual([]);
				const replay = createReplay();
				const steps = lines.map((line) => ('checkpoint' in line ? null : replay.tell(line)));
				expect(steps.flatMap((step) => step?.difference ?? [])).toEqual([]);
				expect(replay.state()).toBe(branch.describe());
			}),
			{ numRuns: 50 },
		);
	});
});

describe('a step of the reader', () => {
	it('comes after all that is due before it, in order: no timer is passed over', () => {
		fc.assert(
			fc.property(fc.array(fc.nat(1000), { maxLength: 30 }), fc.integer({ min: 1, max: 3 }), (pressed, size) => {
				const branch = branchFromNothing({ ...plan, kill: 500, respawn: 300, bake: 200, size }, 1_700_000_000_000);
				branch.settle();
				for (const press of pressed) {
					const state = branch.supervisorState();
					if (!state || branch.state() === 'stopped') break;
					const events = nextEvents(state, branch.upgrade(), branch.nonChildren).filter(({ external }) =>
						/^(signal|rotate|stop|child\.exited)/.test(external.type),
					);
					const { external } = events[press % events.length] ?? {};
					if (press % 3 === 0 || !external) branch.runNextTimer();
					else branch.act(() => external, 250);
					for (const { at } of branch.due()) expect(at).toBeGreaterThanOrEqual(branch.now());
				}
				const times = branch.timeline.entries.map(({ fact }) => fact.at);
				expect(times).toEqual([...times].sort((one, other) => one - other));
				expect(branch.timeline.entries.flatMap(({ difference }) => difference ?? [])).toEqual([]);
			}),
			{ numRuns: 100 },
		);
	});

	it('elapses a -start of 3 s after 3 s, though the step before it came later', () => {
		const branch = branchFromNothing({ ...plan, kill: 0 }, 1_700_000_000_000);
		branch.settle();
		branch.act(() => ({ type: 'rotate.requested' }), 10_000);
		const up = branch.timeline.entries.find(({ fact }) => fact.type === 'timer.elapsed');
		expect((up?.fact.at ?? 0) - 1_700_000_000_000).toBe(3005);
		expect(branch.describe()).toBe('rotating 1:serving 2:booting');
	});

	it('that is not possible any more when its time comes does not happen', () => {
		const branch = branchFromNothing({ ...plan, kill: 100 }, 1_700_000_000_000);
		branch.settle();
		branch.runNextTimer();
		branch.act(() => ({ type: 'rotate.requested' }), 10);
		branch.runNextTimer();
		// The old child drains, and is killed 100 ms later: it can't exit after that.
		branch.act((then) => {
			const own = then.children.find(({ child }) => child === 1);
			return own ? endOf(own, { code: 0 }) : null;
		}, 5000);
		const exits = branch.timeline.entries.filter(({ fact }) => fact.type === 'child.exited' && fact.child === 1);
		expect(exits).toHaveLength(1);
		expect(branch.timeline.entries.flatMap(({ difference }) => difference ?? [])).toEqual([]);
	});

	it('that silences a child is one too: the child is not seen to accept, also after a later step is taken back', () => {
		const branch = branchFromNothing({ ...plan, ready: 'accept', verify: 'accept' }, 1_700_000_000_000);
		branch.settle();
		branch.runNextTimer();
		branch.act(() => ({ type: 'rotate.requested' }), 10);
		branch.silence(2);
		branch.runNextTimer();
		expect(branch.describe()).toMatch(/^(running|draining) 1:serving/);
		expect(
			branch
				.undone()
				?.due()
				.map(({ what }) => what),
		).toEqual(['-start of 102']);
	});

	it('kills a child whose stop has a kill timeout of its own after that, whatever it has drained before', () => {
		const live = running().signal('HUP').spawned(2).wait(3000).up(2).wait(60_000);
		const timeline = storyOf(live.history);
		const branch = branchFrom(timeline, timeline.entries.length - 1);
		branch.act(() => ({ type: 'generation.stopRequested', generation: 1, kill: 5000 }), 0);
		const [kill] = branch.due().filter(({ what }) => what === 'SIGKILL of 101');
		expect((kill?.at ?? 0) - branch.now()).toBe(5000);
	});

	it('is taken back', () => {
		const branch = branchFromNothing(plan, 1_700_000_000_000);
		branch.settle();
		const before = branch.describe();
		branch.runNextTimer();
		expect(branch.undone()?.describe()).toBe(before);
		expect(branch.undone()?.undone()).toBeNull();
	});
});

describe('an exported test', () => {
	it('says in the project’s own words what was told, and what is expected', () => {
		const branch = branchFromNothing({ ...plan, drain: 'TERM' }, 1_700_000_000_000);
		branch.tell({ type: 'child.spawned', child: 1, pid: 101, startTime: 1, pipe: 1 }, 250);
		branch.tell({ type: 'timer.elapsed', child: 1, timer: 'boot' }, 3000);
		branch.tell({ type: 'child.verified', child: 1, isSeen: true }, 0);
		branch.tell({ type: 'signal.HUP' }, 250);
		branch.tell({ type: 'child.spawnFailed', child: 2, reason: 'it’s "gone"' }, 250);
		expect(testOf(branch)).toBe(`import { expect, it } from 'vitest';
import { simulate } from '../../src/testing/simulation.ts';

it('a supervisor that has started is running after child.spawned, timer.elapsed, child.verified, signal.HUP, child.spawnFailed', () => {
	const simulation = simulate();
	simulation.start({ drain: 'TERM' });
	simulation.wait(250);
	simulation.spawned(1);
	simulation.wait(3000);
	simulation.waited(1);
	simulation.verified(1);
	simulation.wait(250);
	simulation.signal('HUP');
	simulation.wait(250);
	simulation.tell({ type: 'child.spawnFailed', child: 2, reason: 'it’s "gone"' });
	expect(simulation.state()).toBe('running');
	expect(simulation.phases()).toEqual({ 1: 'serving' });
	expect(simulation.decisions()).toEqual([
		'generation.started',
		'child.spawning',
		'child.verifying',
		'child.ready',
		'generation.promoted',
		'generation.started',
		'child.spawning',
		'child.lost',
		'generation.failed',
	]);
});
`);
	});
});
