/**
 * Restores the statecharts from the supervisor's state, the fold of all facts. The result is a snapshot of xstate's
 * that exists only in memory. Actors that a state invokes start again with their input: a process is adopted, and a
 * wait counts from its recorded beginning.
 */
import type { Snapshot } from 'xstate';
import type { Plan } from '../facts/facts.ts';
import {
	type ChildState,
	isBaking,
	isChecked,
	isComing,
	isLeaving,
	killPlanOf,
	type SupervisorState,
	upAtOf,
} from '../state/supervisorState.ts';
import {
	bootTimer,
	type ChildContext,
	killTimer,
	lateness,
	newContext as newChild,
	noticeCheck,
	promotionCheck,
	readinessCheck,
} from './childContext.ts';
import {
	type GenerationContext,
	newContext as newGeneration,
	respawnTimer,
	timerOf,
	vacantSlot,
} from './generationContext.ts';
import type { HealthCheckInput, ListenerCheckInput, ProcessInput, TimerInput } from './protocol.ts';
import {
	bakeCheck,
	bakeTimer,
	candidateCheck,
	degradedCheck,
	restartTimer,
	type SupervisorContext,
} from './supervisorContext.ts';

/** A child actor in an xstate snapshot. */
interface Kept {
	src: string;
	snapshot: Snapshot<unknown>;
	systemId?: string;
	syncSnapshot: false;
}

type Children = Record<string, Kept>;

/** The snapshot of a statechart in a state, with its context and its child actors. */
function chart(value: object, context: object, children: Children): Snapshot<unknown> {
	return {
		status: 'active',
		output: undefined,
		error: undefined,
		value,
		historyValue: {},
		context,
		children,
	} as Snapshot<unknown>;
}

/** The snapshot of a callback actor with its input. */
function callback(src: 'process', input: ProcessInput): Kept;
function callback(src: 'timer', input: TimerInput): Kept;
function callback(src: 'listenerCheck', input: ListenerCheckInput): Kept;
function callback(src: 'healthCheck', input: HealthCheckInput): Kept;
function callback(src: string, input: object): Kept {
	return {
		src,
		snapshot: { status: 'active', output: undefined, error: undefined, input } as Snapshot<unknown>,
		syncSnapshot: false,
	};
}

/** A reference to an actor, in the format of a context in an xstate snapshot. */
const reference = <T>(id: string) => ({ xstate$$type: 1, id }) as T;

/** The snapshot of the supervisor's statechart and of all statecharts below it. */
export function restore({
	children,
	respawns,
	unanswered: _,
	ended: __,
	...known
}: SupervisorState): Snapshot<unknown> {
	const { plan, serving, candidate } = known;
	const present = [...children, ...respawns];
	const isServed = present.some(({ generation }) => generation === serving);
	const generations: SupervisorContext['generations'] = {};
	const actors: Children = {};
	for (const generation of new Set(present.map((each) => each.generation))) {
		const id = `generation.${generation}`;
		const isOf = (each: { generation: number }) => each.generation === generation;
		const own = { children: children.filter(isOf), respawns: respawns.filter(isOf) };
		const isBaked = generation === candidate && isServed && plan.bake > 0;
		const state = generationStateOf(generation, { ...known, children, respawns }, own);
		const isGated = generation === candidate && isServed && plan.verify !== 'none';
		const snapshot = generationChart(state, { generation, plan, firstChild: 0, isGated, isBaked }, own);
		generations[generation] = reference(id);
		actors[id] = { src: 'generation', snapshot, syncSnapshot: false };
	}
	const context: SupervisorContext = {
		...known,
		generations,
		isServed: children.some(({ generation }) => generation === serving),
	};
	const state = isBaking({ ...known, children, respawns })
		? 'baking'
		: isChecked({ ...known, respawns })
			? 'checking'
			: stateOf(known);
	return chart({ alive: state }, context, {
		...actors,
		...(state === 'baking'
			? { bake: callback('timer', bakeTimer(context)), bakeCheck: callback('healthCheck', bakeCheck(context)) }
			: {}),
		...(state === 'checking' ? { check: callback('healthCheck', candidateCheck(context)) } : {}),
		...(isRechecked({ ...known, children, respawns })
			? { recheck: callback('healthCheck', degradedCheck(serving)) }
			: {}),
		...(state === 'unserved' ? { restart: callback('timer', restartTimer(context)) } : {}),
		upgrade: {
			src: 'upgrade',
			snapshot: chart('idle' as unknown as object, {}, {}),
			systemId: 'upgrade',
			syncSnapshot: false,
		},
	});
}

/** Between two rotations the result is `settling`: the statechart chooses the next state with the next event. */
function stateOf({
	stopSignal,
	candidate,
	serving,
	restart,
}: Pick<SupervisorState, 'stopSignal' | 'candidate' | 'serving' | 'restart'>) {
	if (stopSignal !== null) return 'stopping';
	if (candidate !== null) return serving === 0 ? 'starting' : 'rotating';
	return restart === null ? 'settling' : 'unserved';
}

/**
 * The candidate and the serving generation are `leaving` after a stop, or if they were given up: then all children are
 * stopping, and no slot is to be filled again. A child that is stopping because it was rejected is replaced.
 */
function generationStateOf(
	generation: number,
	all: Omit<SupervisorState, 'unanswered' | 'ended'>,
	{ children, respawns }: Pick<SupervisorState, 'children' | 'respawns'>,
) {
	const { candidate, serving, isComplete, stopSignal } = all;
	const isGivenUp = respawns.length === 0 && children.every((child) => isLeaving(child) && !child.isRejected);
	if (stopSignal !== null || isGivenUp || (generation !== candidate && generation !== serving)) return 'leaving';
	if (generation === candidate && (isBaking(all) || isChecked(all))) return 'awaitingPromotion';
	if (generation !== serving) return 'starting';
	return isComplete ? 'serving' : isRechecked(all) ? 'awaitingPromotion' : 'starting';
}

/** Whether the serving generation, which is degraded, is checked: all children of it are up. A rejected one does not count. */
function isRechecked({
	plan,
	checks,
	serving,
	isComplete,
	children: all,
	respawns,
}: Omit<SupervisorState, 'unanswered' | 'ended'>) {
	const isOwn = ({ generation }: { generation: number }) => generation === serving;
	const children = all.filter(isOwn);
	const isUp = ({ phase }: ChildState) => phase === 'serving';
	if (plan.check === '' || checks.serving === null || isComplete || respawns.some(isOwn)) return false;
	return children.some(isUp) && children.every((child) => isUp(child) || child.isRejected);
}

function generationChart(
	state: 'starting' | 'awaitingPromotion' | 'serving' | 'leaving',
	input: Parameters<typeof newGeneration>[0],
	{ children, respawns }: Pick<SupervisorState, 'children' | 'respawns'>,
): Snapshot<unknown> {
	const context: GenerationContext = { ...newGeneration(input), upAt: upAtOf(children) };
	const actors: Children = {};
	for (const known of children) {
		const { child, index, attempt, wasUp, phase, isRejected: isGoing } = known;
		const id = `child.${child}`;
		context.children[child] = reference(id);
		context.slots.push({ index, child, vacancy: null, isUp: phase === 'serving', isGoing, attempt, wasUp, seq: 0 });
		actors[id] = { src: 'child', snapshot: childChart(known, input), systemId: id, syncSnapshot: false };
	}
	for (const respawn of respawns) {
		context.slots.push(vacantSlot(respawn));
		if (!respawn.isDue) actors[timerOf(respawn.index)] = callback('timer', respawnTimer(respawn));
	}
	return chart({ alive: state }, context, actors);
}

function childChart(known: ChildState, { plan, isGated }: { plan: Plan; isGated: boolean }): Snapshot<unknown> {
	const { child, generation, index, pid, phase, survivors } = known;
	const own = { ...plan, ...killPlanOf(plan, known) };
	const context = childContext(known, { child, generation, index, plan: own, isGated });
	const isOrphaned = phase === 'orphaned' || (phase === 'killing' && survivors.length > 0);
	const running = pid === null ? {} : { adopted: pid, isOrphaned };
	const process = context.recovered.isUnawaited
		? {}
		: { process: callback('process', { child, generation, index, ...running }) };
	const isCancelled = pid === null && known.stopSignal !== null;
	const value = isCancelled ? { leaving: 'cancelled' } : isLeaving(known) ? { leaving: phase } : { staying: phase };
	return chart({ alive: value }, context, { ...process, ...waitsOf(known, context) });
}

function childContext(known: ChildState, input: Parameters<typeof newChild>[0]): ChildContext {
	const { pid, phase, clock, deadline, readyBy, isRejected, isDismissed, rejection, survivors } = known;
	const born = isComing(known) && pid !== null ? (known.spawnedClock ?? clock) : null;
	const context = {
		...newChild(input),
		process: { pid, born },
		deadline,
		reached: { readyAt: known.readyClock ?? born, upAt: phase === 'serving' ? clock : null },
		wasStopped: phase === 'booting' && known.spawnedClock !== null && clock !== known.spawnedClock,
		stopSignal: known.stopSignal ?? newChild(input).stopSignal,
		forwarding: { pending: known.forwards, wasForwarded: known.wasForwarded },
		since: phase === 'booting' || phase === 'draining' || phase === 'orphaned' ? clock : null,
		recovered: {
			announced: phase === 'booting' ? readyBy : null,
			isUnawaited: phase === 'orphaned' && input.plan.kill === 0 && survivors.length === 0,
		},
		isHidden: known.isSeen === false,
		isRejected,
		isDismissed,
	};
	if (!isRejected) return context;
	const { reason, code } = rejection ?? { reason: lateness(context), code: 'deadline' as const };
	return { ...context, loss: { status: 1, reason, code } };
}

/** The timers and listener checks of the child's phase. */
function waitsOf({ phase, isSeen, unseen }: ChildState, context: ChildContext): Children {
	switch (phase) {
		case 'booting':
			return { boot: callback('timer', bootTimer(context)), look: callback('listenerCheck', readinessCheck(context)) };
		case 'verifying':
			return { listenerCheck: callback('listenerCheck', promotionCheck(context)) };
		case 'serving':
			return isSeen === null && unseen === null
				? { lookout: callback('listenerCheck', noticeCheck(context.child)) }
				: {};
		case 'draining':
		case 'orphaned':
			return { kill: callback('timer', killTimer(context)) };
		case 'spawning':
		case 'killing':
			return {};
	}
}
