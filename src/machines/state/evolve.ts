/** The supervisor's state as a pure fold over the facts. It decides nothing and repeats no rule of the statecharts. */
import type { Fact } from '../facts/facts.ts';
import { isDecision } from '../facts/stamp.ts';
import {
	awaitedOf,
	type ChildState,
	isComing,
	isLeaving,
	isNoGood,
	isOfSlot,
	killPlanOf,
	newChild,
	newState,
	noChecks,
	type Respawn,
	type SupervisorState,
	upAtOf,
	withoutChild,
	withRespawn,
} from './supervisorState.ts';

/** Adds one fact. The state that is passed in stays unchanged. */
export function evolve(state: SupervisorState | null, fact: Fact): SupervisorState {
	if (fact.type === 'supervisor.started') return newState(fact.plan);
	if (fact.type === 'supervisor.recovered') return fact.state;
	if (!state) throw new Error(`fact ${fact.seq} is ${fact.type}, before the supervisor started`);
	return changed(endsStep(state, fact) ? { ...state, ended: null } : state, fact);
}

/**
 * Whether all decisions that follow from the external event before this fact have been made. `child.spawned` can be
 * recorded in the middle of a step, as a spawn reports its pid at once.
 */
function endsStep({ ended }: SupervisorState, fact: Fact): boolean {
	return ended !== null && !isDecision(fact) && fact.type !== 'child.spawned';
}

function changed(
	state: SupervisorState,
	fact: Exclude<Fact, { type: 'supervisor.started' | 'supervisor.recovered' }>,
): SupervisorState {
	switch (fact.type) {
		case 'signal.HUP':
		case 'signal.TERM':
		case 'signal.INT':
		case 'signal.QUIT':
		case 'rotate.requested':
		case 'stop.requested':
			return { ...state, unanswered: fact.type };
		case 'generation.started':
			return {
				...replacedCandidate(state),
				unanswered: null,
				candidate: fact.generation,
				bake: null,
				checks: { ...state.checks, candidate: null },
				lastGeneration: fact.generation,
				lastSize: fact.size,
				queued: null,
				trigger: fact.trigger,
				restart: null,
				isQuitting: false,
			};
		case 'rotation.queued':
			return { ...state, unanswered: null, queued: fact.trigger };
		case 'request.refused':
			return { ...state, unanswered: null };
		case 'signal.forwarded':
			return {
				...forwarded(state, fact.signal),
				unanswered: null,
				ended: null,
				respawns: [],
				restart: null,
				isQuitting: true,
			};
		case 'stop.begun':
			return {
				...dismissedByStop(withStopSignal(withKillTimeout(state, fact), fact.signal)),
				unanswered: null,
				queued: null,
				bake: null,
				checks: noChecks,
				stopSignal: fact.signal,
				ended: null,
				respawns: [],
				restart: null,
			};
		case 'generation.stopBegun': {
			const { generation, signal, kill, clock = null } = fact;
			const isOwn = (child: ChildState) => child.generation === generation;
			const stopped = withStopSignal(state, signal, isOwn);
			if (kill === undefined) return stopped;
			const children = stopped.children.map((child) => (isOwn(child) ? withKill(child, state, kill, clock) : child));
			return { ...stopped, children };
		}
		case 'bake.started': {
			const { generation, millis, at, clock = null } = fact;
			const upAt = upAtOf(state.children.filter((each) => each.generation === generation));
			return { ...state, bake: { millis, at, clock, upAt }, checks: { ...state.checks, candidate: null } };
		}
		case 'check.started': {
			const { generation, millis, at, clock = null } = fact;
			const upAt = upAtOf(state.children.filter((each) => each.generation === generation));
			const check = { millis, at, clock, upAt, problem: null };
			return {
				...state,
				checks: { ...state.checks, [generation === state.candidate ? 'candidate' : 'serving']: check },
			};
		}
		case 'check.tried': {
			const { generation, problem } = fact;
			const name = generation === state.candidate ? 'candidate' : 'serving';
			const check = state.checks[name];
			return { ...state, checks: { ...state.checks, [name]: check && { ...check, problem } } };
		}
		case 'generation.promoted':
			return {
				...withoutRespawns(state, fact.replaced),
				serving: fact.generation,
				isComplete: true,
				servingUpAt: upAtOf(state.children.filter(({ generation }) => generation === fact.generation)),
				restarts: fact.restarts ?? state.restarts,
				...(state.candidate === fact.generation
					? { candidate: null, bake: null, checks: noChecks }
					: { checks: { ...state.checks, serving: null } }),
			};
		case 'generation.failed':
			return {
				...dismissed(withoutRespawns(state, [fact.generation]), fact.generation),
				candidate: null,
				bake: null,
				checks: { ...state.checks, candidate: null },
			};
		case 'generation.degraded':
			return {
				...withoutRespawns(state, fact.replaced),
				serving: fact.generation,
				isComplete: false,
				servingUpAt: null,
				candidate: null,
				bake: null,
				checks: noChecks,
			};
		case 'generation.exhausted':
			return { ...dismissed(withoutRespawns(state, [fact.generation]), fact.generation), status: fact.status };
		case 'respawn.scheduled': {
			const { generation, index, attempt, wasUp, millis, at, clock = null } = fact;
			return withRespawn(state, { generation, index, attempt, wasUp, millis, at, clock, isDue: false });
		}
		case 'respawn.due':
			return {
				...state,
				respawns: state.respawns.map((each) => (isOfSlot(each, fact) ? { ...each, isDue: true } : each)),
			};
		case 'child.spawning':
			return spawning(state, fact);
		case 'child.announced':
			return announced(state, fact);
		case 'deadline.moved':
			return withChild(state, fact.child, { deadline: fact.deadline });
		case 'child.verifying':
			return withChild(state, fact.child, {
				phase: 'verifying',
				readyBy: fact.by,
				readyClock: fact.clock ?? null,
				since: fact.at,
			});
		case 'child.verified':
			return withChild(verified(state, fact), fact.child, { isSeen: fact.isSeen, unseen: null });
		case 'child.unseen':
			return withChild(state, fact.child, { unseen: fact.reason });
		case 'child.hung':
			return hung(state, fact);
		case 'child.watched':
			return withChild(state, fact.child, { watchdog: fact.millis });
		case 'child.rejected': {
			const known = state.children.find(({ child }) => child === fact.child);
			const left = known ? withoutServingCheck(state, known) : state;
			return { ...withChild(left, fact.child, rejected(fact)), status: 1 };
		}
		case 'child.spawned': {
			const { pid, startTime, pipe, at, clock = null, program = null, directory = null } = fact;
			const phase = 'booting';
			const forwards: string[] = [];
			return withChild(state, fact.child, {
				pid,
				startTime,
				pipe,
				phase,
				since: at,
				clock,
				spawnedClock: clock,
				program,
				directory,
				forwards,
			});
		}
		case 'child.stopped':
			return withChild(state, fact.child, { since: fact.at, clock: fact.clock ?? null, deadline: null });
		case 'child.ready':
			return serving(state, fact);
		case 'child.signalled':
			return signalled(state, fact);
		case 'child.exited':
			return exited(state, fact);
		case 'child.spawnFailed':
		case 'group.gone':
			return withoutChild(withEnded(state, fact), fact.child);
		case 'child.abandoned':
			return withoutChild(state, fact.child);
		case 'stop.cancelled':
			return {
				...state,
				stopSignal: null,
				serving: 0,
				isComplete: false,
				candidate: null,
				bake: null,
				checks: noChecks,
				queued: null,
			};
		case 'restart.scheduled': {
			const { attempt, millis, at, clock = null } = fact;
			return { ...state, restarts: attempt, restart: { millis, at, clock } };
		}
		case 'child.lost':
			return { ...state, status: fact.status };
		case 'signal.USR1':
		case 'signal.USR2':
		case 'upgrade.requested':
		case 'generation.stopRequested':
		case 'upgrade.begun':
		case 'upgrade.verified':
		case 'upgrade.refused':
		case 'upgrade.failed':
		case 'child.delayed':
		case 'child.unverified':
		case 'timer.elapsed':
		case 'restart.due':
		case 'bake.due':
		case 'check.passed':
		case 'check.failed':
		case 'service.lost':
			return state;
		default:
			return fact satisfies never;
	}
}

/** Adds a child without a process to its slot, and removes the pending respawn of the slot. */
function spawning(
	state: SupervisorState,
	{ child, generation, index, at }: Extract<Fact, { type: 'child.spawning' }>,
): SupervisorState {
	const isInSlot = (each: Respawn) => isOfSlot(each, { generation, index });
	const { attempt, wasUp } = state.respawns.find(isInSlot) ?? { attempt: 0, wasUp: false };
	const added = { ...newChild({ child, generation, index, at }), attempt, wasUp };
	const respawns = state.respawns.some(isInSlot) ? state.respawns.filter((each) => !isInSlot(each)) : state.respawns;
	return { ...state, lastChild: child, children: [...state.children, added], respawns };
}

/**
 * A candidate that is started again is a new generation: the respawns of the old candidate are dropped, and its children are
 * dismissed.
 */
function replacedCandidate(state: SupervisorState): SupervisorState {
	if (state.candidate === null) return state;
	return dismissed(withoutRespawns(state, [state.candidate]), state.candidate);
}

/** A child without a process gets the signal as soon as it has one. */
function forwarded(state: SupervisorState, signal: string): SupervisorState {
	if (state.children.every(({ pid }) => pid !== null)) return state;
	const children = state.children.map((child) =>
		child.pid === null ? { ...child, forwards: [...child.forwards, signal] } : child,
	);
	return { ...state, children };
}

/** Children of a candidate that are not up have served no client: a stop waits for them no longer than a failure does. */
function dismissedByStop(state: SupervisorState): SupervisorState {
	const { candidate, serving, children, respawns } = state;
	const isServed = [...children, ...respawns].some(({ generation }) => generation === serving);
	return candidate === null || !isServed ? state : dismissed(state, candidate, isComing);
}

/** Marks children of a generation that was never promoted: they get a limited kill timeout. */
function dismissed(
	state: SupervisorState,
	generation: number,
	isMarked = (child: ChildState) => !isLeaving(child),
): SupervisorState {
	const isDismissed = (child: ChildState) => child.generation === generation && isMarked(child);
	if (!state.children.some(isDismissed)) return state;
	const children = state.children.map((each) => (isDismissed(each) ? { ...each, isDismissed: true } : each));
	return { ...state, children };
}

function rejected({ reason, code = 'deadline' }: Extract<Fact, { type: 'child.rejected' }>): Partial<ChildState> {
	return { isRejected: true, rejection: { reason, code } };
}

/**
 * Up to commit cd933d0 `child.ready` has no clock. In such a journal a child is up since the clock of `child.verified`.
 */
function verified(
	state: SupervisorState,
	{ child: id, clock }: Extract<Fact, { type: 'child.verified' }>,
): SupervisorState {
	const isVerified = state.children.some(({ child, phase }) => child === id && phase === 'verifying');
	return isVerified && clock !== undefined ? withChild(state, id, { clock }) : state;
}

/** The child is up. Without a clock in the fact (commit cd933d0 and earlier), the clock of `child.verified` is kept. */
function serving(
	state: SupervisorState,
	{ child: id, at, clock }: Extract<Fact, { type: 'child.ready' }>,
): SupervisorState {
	const known = state.children.find(({ child }) => child === id);
	const since = clock ?? known?.clock ?? null;
	// What a check has said so far is of the time before; the next check says it again.
	return withChild(state, id, { phase: 'serving', since: at, clock: since, wasUp: true, deadline: null, unseen: null });
}

/** Keeps the child's message, so that it counts even if the supervisor is killed before it decides on the message. */
function announced(
	state: SupervisorState,
	{ child: id, by, clock }: Extract<Fact, { type: 'child.announced' }>,
): SupervisorState {
	const isBooting = state.children.some(({ child, phase }) => child === id && phase === 'booting');
	return isBooting ? withChild(state, id, { readyBy: by, readyClock: clock ?? null }) : state;
}

/**
 * A stopping child with surviving processes that are waited for becomes `orphaned`. It ends after these processes have
 * exited.
 */
function exited(state: SupervisorState, fact: Extract<Fact, { type: 'child.exited' }>): SupervisorState {
	const { child: id, survivors, at, clock = null } = fact;
	const known = state.children.find(({ child }) => child === id);
	const left = known !== undefined && !isLeaving(known) ? withoutServingCheck(state, known) : state;
	const awaited =
		known !== undefined && isLeaving(known) ? awaitedOf(fact, killPlanOf(state.plan, known), isNoGood(known)) : [];
	const next = awaited.length > 0 ? left : withEnded(left, fact);
	if (survivors.length === 0) return withoutChild(next, id);
	return withChild(next, id, { phase: 'orphaned', since: at, clock, survivors: awaited });
}

/** The health check of a degraded generation ends with a child of it: it begins anew when the generation is complete. */
function withoutServingCheck(state: SupervisorState, { generation }: ChildState): SupervisorState {
	if (generation !== state.serving || state.checks.serving === null) return state;
	return { ...state, checks: { ...state.checks, serving: null } };
}

/**
 * Records an ended child whose end needs a decision. The end of a stopping child needs none, unless the child was
 * rejected.
 */
function withEnded(
	state: SupervisorState,
	{ child: id, seq, at, clock }: Extract<Fact, { type: 'child.exited' | 'child.spawnFailed' | 'group.gone' }>,
): SupervisorState {
	const known = state.children.find(({ child }) => child === id);
	if (!known || (isLeaving(known) && !known.isRejected)) return state;
	const status = known.isRejected ? 1 : state.status;
	return { ...state, status, ended: { ...known, endedBy: seq, endedAt: at, endedClock: clock ?? null } };
}

function withoutRespawns(state: SupervisorState, generations: number[]): SupervisorState {
	const isOf = ({ generation }: { generation: number }) => generations.includes(generation);
	const ended = state.ended && !isOf(state.ended) ? state.ended : null;
	return { ...state, ended, respawns: state.respawns.filter((each) => !isOf(each)) };
}

function withChild(state: SupervisorState, id: number, change: Partial<ChildState>): SupervisorState {
	return {
		...state,
		children: state.children.map((child) => (child.child === id ? { ...child, ...change } : child)),
	};
}

/** Only a serving child is aborted. */
function hung(state: SupervisorState, fact: Extract<Fact, { type: 'child.hung' }>): SupervisorState {
	const { child: id, clock = null } = fact;
	const known = state.children.find(({ child }) => child === id);
	return known?.phase === 'serving' ? withChild(state, id, { hungClock: known.hungClock ?? clock }) : state;
}

/** A stop may change the kill timeout. The new timeout of a child that is stopping already begins now. */
function withKillTimeout(state: SupervisorState, fact: Extract<Fact, { type: 'stop.begun' }>): SupervisorState {
	const { kill, clock = null } = fact;
	// Each child keeps it: a supervisor that is started again has a plan of its own.
	const children = state.children.map((child) => ({ ...withKill(child, state, kill, clock), kill }));
	return { ...state, plan: { ...state.plan, kill }, children };
}

/** A child without a process receives the signal of a stop as soon as it has one. */
function withStopSignal(state: SupervisorState, signal: string, isStopped = (_: ChildState) => true): SupervisorState {
	const children = state.children.map((child) =>
		child.pid === null && isStopped(child) ? { ...child, stopSignal: { signal, reason: 'stop' as const } } : child,
	);
	return { ...state, children };
}

/** Sets the kill timeout of a child. If it changes that of a stopping child, the new timeout begins now. */
function withKill(child: ChildState, { plan }: SupervisorState, kill: number, clock: number | null): ChildState {
	if (kill === killPlanOf(plan, child).kill) return child;
	return { ...child, kill, ...(isLeaving(child) ? { clock } : {}) };
}

/** The kill timeout counts from the first stop signal of a child. */
function signalled(state: SupervisorState, fact: Extract<Fact, { type: 'child.signalled' }>): SupervisorState {
	const { child: id, signal, reason, at, clock = null } = fact;
	if (reason === 'watchdog') return state;
	if (reason === 'forward') return withChild(state, id, { wasForwarded: true });
	const phase = reason === 'kill' || reason === 'crowd' ? 'killing' : 'draining';
	const known = state.children.find(({ child }) => child === id);
	if (!known) return state;
	const stopSignal = phase === 'draining' ? { signal, reason } : known.stopSignal;
	if (phase === 'draining' && isLeaving(known)) return withChild(state, id, { stopSignal });
	return withChild(state, id, { phase, since: at, clock, stopSignal });
}
