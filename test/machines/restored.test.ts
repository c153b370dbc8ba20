/** A restored supervisor knows what one that lived through the facts knows, and waits for the same. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EventObject, fromCallback } from 'xstate';
import type {
	HealthCheckInput,
	ListenerCheckInput,
	ProcessCommand,
	ProcessInput,
	TimerInput,
} from '../../src/machines/charts/protocol.ts';
import { deliver, describeState, newLife, type Supervisor, type World } from '../../src/machines/charts/world.ts';
import type { Decision, ExternalEvent, ExternalFact, Fact, Plan } from '../../src/machines/facts/facts.ts';
import { stamped } from '../../src/machines/facts/stamp.ts';
import { endOf, nextEvents } from '../../src/machines/simulation/nextEvents.ts';
import { evolve } from '../../src/machines/state/evolve.ts';
import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';
import { simulate } from '../../src/testing/simulation.ts';
import { childState, draining, plan, running, stateWith } from '../support/simulation.ts';

/** A supervisor whose timers, checks and processes are known, each with the time at which it is over. */
function life(seq: number, at: number, known: SupervisorState | null) {
	let state = known;
	let cause = 0;
	let supervisor: Supervisor | null = null;
	const waits = new Set<string>();
	const history: Fact[] = [];
	const clock = { at };

	function admit<T extends ExternalEvent | Decision>(what: T): Fact {
		seq += 1;
		const fact = stamped(what, { seq, at: clock.at, clock: () => clock.at, cause });
		state = evolve(state, fact);
		history.push(fact);
		return fact;
	}

	function wait(name: string) {
		waits.add(name);
		return () => void waits.delete(name);
	}

	/** A notice may last longer than the child serves, and one that has reported stays: it changes nothing. */
	function isIdle(name: string) {
		const notice = name.match(/^notice (\d+)$/);
		const child = notice && state?.children.find((each) => each.child === Number(notice[1]));
		return notice !== null && !(child?.phase === 'serving' && child.unseen === null && child.isSeen === null);
	}

	const until = ({ since, millis }: { since: number | null; millis: number | null }) =>
		(since ?? clock.at) + (millis ?? 0);
	const world: World = {
		decide: admit,
		process: fromCallback<ProcessCommand, ProcessInput>(({ input }) => wait(`process ${input.child}`)),
		timer: fromCallback<EventObject, TimerInput>(({ input }) => {
			const { timer } = input;
			const whose = 'child' in input ? input.child : 'generation' in input ? `${input.generation}.${input.index}` : '';
			if (input.millis !== null) return wait(`${timer} ${whose} until ${until(input)}`);
		}),
		listenerCheck: fromCallback<EventObject, ListenerCheckInput>(({ input }) => {
			const { child, purpose } = input;
			// A notice has no time: it is repeated until it sees something.
			if (purpose !== null)
				return wait(purpose === 'notice' ? `notice ${child}` : `${purpose} ${child} until ${until(input)}`);
		}),
		healthCheck: fromCallback<EventObject, HealthCheckInput>(({ input }) => {
			const { generation, purpose } = input;
			// The check of a bake has no time, and that of a degraded generation begins again.
			if (purpose !== null)
				return wait(`${purpose} check ${generation} until ${purpose === 'promotion' ? until(input) : ''}`);
		}),
		preflight: fromCallback<EventObject, void>(() => {}),
		handover: fromCallback<EventObject, void>(() => {}),
	};

	function tell(external: ExternalEvent) {
		const fact = admit(external) as ExternalFact;
		cause = fact.seq;
		if (fact.type === 'supervisor.started' || fact.type === 'supervisor.recovered') {
			supervisor = newLife(world, fact);
			supervisor.start();
		}
		if (supervisor) deliver(supervisor, fact);
	}

	const present = () => supervisor as unknown as Supervisor;
	return {
		tell,
		clock,
		history,
		seq: () => seq,
		state: () => state,
		waits: () => [...waits].filter((name) => !isIdle(name)).sort(),
		isOver: () => present().getSnapshot().status !== 'active',
		stands: () => describeState(present()),
		supervisor: present,
	};
}

const plans = fc.record({
	start: fc.constantFrom(100, 3000),
	ready: fc.constantFrom('wait' as const, 'notify' as const, 'accept' as const),
	verify: fc.constantFrom('accept' as const, 'none' as const),
	kill: fc.constantFrom(0, 500),
	size: fc.integer({ min: 1, max: 2 }),
	respawn: fc.constantFrom(-1, 0, 500),
	maxDraining: fc.constantFrom(0, 1),
	check: fc.constantFrom('', '/up'),
	bake: fc.constantFrom(0, 300),
});

const choices = fc.array(fc.nat(100_000), { minLength: 1, maxLength: 40 });

/** The wait for a start is over while another generation starts: nothing waits for it any more. */
const dueDuringARotation = {
	start: 100,
	ready: 'wait',
	verify: 'accept',
	kill: 0,
	size: 2,
	respawn: 0,
	maxDraining: 0,
	check: '',
	bake: 0,
} as const;

/** The first generation fails its health check, is kept as degraded and checked again. */
const degraded = { ...dueDuringARotation, size: 1, respawn: -1, check: '/up' } as const;

/** The stop of a generation is asked for while a child of it has no process yet. */
const stoppedBeforeItsProcess = { ...dueDuringARotation, respawn: 500 } as const;

/** The degraded one, after one of its two children was rejected, and while the slot of that one is vacant. */
const halfDegraded = { ...dueDuringARotation, ready: 'notify', check: '/up' } as const;

const isInLife = (type: string) => !/^(supervisor|upgrade)\.|^signal\.USR/.test(type);

function begun(changes: Partial<Plan>) {
	const live = life(0, 1_000_000, null);
	live.tell({ type: 'supervisor.started', pid: 1, plan: { ...plan, ...changes } });
	return live;
}

/** What happens next in the life; null if it is over. */
function nextIn(live: ReturnType<typeof life>, choice: number) {
	const known = live.state();
	if (!known || live.isOver()) return null;
	const events = nextEvents(known, 'busy', new Set()).filter(({ external }) => isInLife(external.type));
	const spawns = events.filter(({ external }) => /^child\.spawn/.test(external.type));
	const from = spawns.length > 0 && choice % 7 !== 0 ? spawns : events;
	const chosen = from[choice % from.length];
	return chosen ? { ...chosen, after: chosen.after + (choice % 5 === 0 ? 100_000 : 0) } : null;
}

/** A supervisor that is restored from the state of the one that lives; null if that has no child. */
function restoredFrom(live: ReturnType<typeof life>) {
	const state = live.state();
	if (live.isOver() || !state || state.children.length + state.respawns.length === 0) return null;
	const next = life(live.seq(), live.clock.at, state);
	const kept = { ...state, unanswered: null, ended: null };
	next.tell({ type: 'supervisor.recovered', pid: 1, by: 'upgrade', state: kept });
	return next;
}

/** One that is restored after some steps, and is told from then on what the one that lives is told. */
function goOn(changes: Partial<Plan>, choices: number[], cut: number) {
	const live = begun(changes);
	let next: ReturnType<typeof life> | null = null;
	for (const [step, choice] of choices.entries()) {
		const chosen = nextIn(live, choice);
		if (!chosen) return;
		if (step === cut) {
			next = restoredFrom(live);
			if (next === null) return;
		}
		const before = [live.history.length, next?.history.length ?? 0] as const;
		live.clock.at += chosen.after;
		live.tell(chosen.external);
		if (next === null) continue;
		next.clock.at = live.clock.at;
		next.tell(chosen.external);
		const where = live.history.map(({ type, ...rest }) => `${type} ${'child' in rest ? rest.child : ''}`).join(', ');
		expect(next.history.slice(before[1]).map(bare), where).toEqual(live.history.slice(before[0]).map(bare));
		expect(next.stands(), where).toBe(live.stands());
	}
}

/** A fact without its number and times. The wait for a respawn varies with the number. */
function bare(fact: Fact): Record<string, unknown> {
	const { seq: _, at: __, ...rest } = fact;
	return Object.fromEntries(Object.entries(rest).filter(([name]) => !['cause', 'clock', 'millis'].includes(name)));
}

/** A restored one beside the one that lives, at each rest of a random life. */
function compare(changes: Partial<Plan>, choices: number[]) {
	const live = begun(changes);
	for (const choice of choices) {
		const chosen = nextIn(live, choice);
		if (!chosen) return;
		live.clock.at += chosen.after;
		live.tell(chosen.external);
		const next = restoredFrom(live);
		if (next === null) return;
		const where = live.history.map(({ type, ...rest }) => `${type} ${'child' in rest ? rest.child : ''}`).join(', ');
		expect(next.history.slice(1), where).toEqual([]);
		expect(next.stands(), where).toBe(live.stands());
		expect(next.waits(), where).toEqual(live.waits());
		next.supervisor().stop();
	}
}

describe('a supervisor that is restored at rest', () => {
	it('stands where the one before stood, waits for the same until the same time, and decides nothing anew', () => {
		fc.assert(
			fc.property(plans, choices, (plan, choices) => compare(plan, choices)),
			{
				numRuns: 1000,
				examples: [
					[dueDuringARotation, [0, 232, 5252, 0, 0, 78827, 0]],
					[degraded, [0, 0, 69645, 0]],
					[{ ...degraded, size: 2 }, [0, 1122, 21570, 23253, 0]],
					[halfDegraded, [0, 53272, 99997, 1, 0]],
				],
			},
		);
	});

	it('goes on as the one before would have gone on', () => {
		fc.assert(
			fc.property(plans, choices, fc.nat(25), (plan, choices, cut) => goOn(plan, choices, cut)),
			{ numRuns: 1000, examples: [[stoppedBeforeItsProcess, [67396, 13355, 5819, 69895, 42830], 4]] },
		);
	});

	it('sends a child without a process the signal of the stop that came last', () => {
		const live = simulate().start({ size: 2 }).spawned(1).spawned(2).wait(3000).up(1).up(2).signal('HUP');
		live.tell({ type: 'child.spawnFailed', child: 3, reason: 'no such file' });
		live.tell({ type: 'generation.stopRequested', generation: 2 }).signal('INT');
		const next = simulate().recover(live.supervisorState() as SupervisorState);
		for (const life of [live, next]) {
			life.decided();
			life.spawned(4);
			expect(life.decided()).toContain('INT to 4');
		}
	});

	it('sends surviving processes the signal that their leader was sent', () => {
		const live = running({ kill: 1000 }).signal('TERM');
		const next = simulate().recover(live.supervisorState() as SupervisorState);
		next.decided();
		next.tell({ type: 'child.exited', child: 1, pid: 101, code: 0, signal: null, status: 0, survivors: [500] });
		expect(next.decided()).toEqual(['TERM to 1']);
	});

	it('passes a signal on to a child that gets its process only then', () => {
		const live = running().signal('HUP').signal('QUIT');
		const next = simulate().recover(live.supervisorState() as SupervisorState);
		next.decided();
		next.spawned(2);
		expect(next.decided()).toEqual(['QUIT to 2']);
	});

	it('keeps the exit status of a rejected child that exits after another one', () => {
		const live = simulate().start({ ready: 'notify', size: 2, respawn: 500 }).spawned(1).spawned(2);
		live.waited(1).exited(2, 0).exited(1, 0);
		const next = simulate().recover({ ...(live.supervisorState() as SupervisorState), ended: null });
		expect([live.signal('QUIT').status(), next.signal('QUIT').status()]).toEqual([1, 1]);
	});

	it('has the kill timeout of a stop also for a child that is being killed', () => {
		const crowded = running({ maxDraining: 1 }).signal('HUP').spawned(2).up(2).signal('HUP').spawned(3).up(3);
		expect(crowded.phases()[1]).toBe('killing');
		const stopped = crowded.tell({ type: 'stop.requested', kill: 5000 });
		const state = stopped.supervisorState();
		if (!state) throw new Error('nothing has happened');
		const killed = endOf({ child: 1, pid: 101 }, { signal: 'killed', number: 9 }, [901]);
		for (const life of [simulate().recover(state), stopped]) {
			life.tell(killed);
			expect(life.history.at(-1)).toMatchObject({ type: 'child.signalled', child: 1, signal: 'KILL' });
		}
	});

	it('signals a rejected child that was not signalled yet', () => {
		const late = childState({ child: 2, generation: 2, pid: 102, phase: 'booting', isRejected: true });
		const next = simulate().recover(
			stateWith({ candidate: 2, lastGeneration: 2, lastChild: 2, children: [childState(), late] }),
		);
		expect(next.decided()).toContain('HUP to 2');
	});

	it('signals a rejected child of the serving generation, whose kill timeout begins then', () => {
		const booting = { phase: 'booting' as const, isRejected: true, clock: 900_000, spawnedClock: 900_000 };
		const late = childState({ child: 2, index: 1, pid: 102, ...booting });
		const next = simulate().recover(stateWith({ lastChild: 2, children: [childState(), late] }));
		expect(next.commands).toContainEqual({ type: 'wait', child: 2, timer: 'kill', millis: 10_000, since: null });
		expect(next.decided()).toContain('HUP to 2');
	});
});

describe('a supervisor that is killed', () => {
	const cutAfter = (facts: Fact[], type: Fact['type']) => {
		let state: SupervisorState | null = null;
		for (const fact of facts.slice(0, facts.findLastIndex((each) => each.type === type) + 1))
			state = evolve(state, fact);
		return state as unknown as SupervisorState;
	};

	it('before the queued rotation follows starts it at once, also where no generation serves', () => {
		const live = draining().signal('HUP').spawned(3).signal('HUP').exited(2, 1).exited(3, 1);
		const state = { ...cutAfter(live.history, 'generation.failed'), unanswered: null, ended: null };
		const next = simulate().tell({ type: 'supervisor.recovered', pid: 1, by: 'start', state });
		expect(next.state()).toBe('rotating');
	});

	it('before all of its candidate had processes kills those that do not exit in 10 s', () => {
		const live = simulate().start({ size: 2, ready: 'notify' }).spawned(1).spawned(2).announced(1).announced(2);
		live.signal('HUP').spawned(3);
		const known = live.supervisorState() as SupervisorState;
		const state = { ...known, children: known.children.filter(({ pid }) => pid !== null), unanswered: null };
		const next = simulate().tell({ type: 'supervisor.recovered', pid: 1, by: 'start', state });
		expect(next.commands).toContainEqual({ type: 'wait', child: 3, timer: 'kill', millis: 10_000, since: null });
		expect(next.supervisorState()?.children.find(({ child }) => child === 3)?.isDismissed).toBe(true);
	});
});
