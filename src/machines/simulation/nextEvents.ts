/** The external events that are possible next, given a supervisor's state. */
import type { ExternalEvent, Fact } from '../facts/facts.ts';
import { withoutUnborn } from '../state/recoveryState.ts';
import {
	type ChildState,
	isBaking,
	isChecked,
	isNoGood,
	killPlanOf,
	type SupervisorState,
} from '../state/supervisorState.ts';

export interface NextEvent {
	/** The process that the event concerns: `the supervisor`, `child 2 (102)`. */
	to: string;
	/** The event in a few words. */
	what: string;
	external: ExternalEvent;
	/** The simulated time until the event, in milliseconds. */
	after: number;
}

/** The pid of a simulated child. */
export function simulatedPid(child: number): number {
	return 100 + child;
}

/** The simulated time until an event that no timer determines, in milliseconds. */
const moment = 250;

/**
 * @param upgrade the state of the upgrade statechart: `idle`, `checking`, `handingOver`
 * @param nonChildren the numbers of children of a killed supervisor: only a parent receives the exit status of a
 * process
 */
export function nextEvents(
	supervisorState: SupervisorState,
	upgrade: string,
	nonChildren: ReadonlySet<number>,
): NextEvent[] {
	const isEachSpawned = supervisorState.children.every(({ pid }) => pid !== null);
	const survivors = withoutUnborn(supervisorState);
	const supervisor = (what: string, external: ExternalEvent): NextEvent => ({
		to: 'the supervisor',
		what,
		external,
		after: moment,
	});
	return [
		...supervisorState.children.flatMap((child) => nextEventsFor(child, supervisorState, nonChildren.has(child.child))),
		...supervisorState.respawns
			.filter(({ isDue }) => !isDue)
			.map(({ generation, index, millis }) => ({
				to: `generation ${generation}`,
				what: `slot ${index} is due`,
				external: { type: 'respawn.due', generation, index } as const,
				after: millis,
			})),
		...checkEvents(supervisorState).map(({ what, external }) => supervisor(what, external)),
		...(!isBaking(supervisorState)
			? []
			: [{ ...supervisor('the bake ends', { type: 'bake.due' }), after: supervisorState.bake?.millis ?? 0 }]),
		...(supervisorState.restart === null
			? []
			: [
					{ ...supervisor('the restart wait elapses', { type: 'restart.due' }), after: supervisorState.restart.millis },
				]),
		...drainingIn(supervisorState).map((generation) =>
			supervisor(`a stop of generation ${generation}`, { type: 'generation.stopRequested', generation, kill: 5000 }),
		),
		supervisor('SIGHUP', { type: 'signal.HUP' }),
		supervisor('SIGTERM', { type: 'signal.TERM' }),
		supervisor('SIGINT', { type: 'signal.INT' }),
		supervisor('SIGQUIT', { type: 'signal.QUIT' }),
		...(upgrade === 'idle' ? [supervisor('SIGUSR2: an upgrade', { type: 'signal.USR2' })] : []),
		...(upgrade === 'checking'
			? [
					supervisor('the new program passes its check', { type: 'upgrade.verified' }),
					supervisor('the new program fails its check', { type: 'upgrade.refused', reason: 'imagined' }),
				]
			: []),
		...(upgrade === 'handingOver' && isEachSpawned
			? [
					supervisor('the new program takes over', {
						type: 'supervisor.recovered',
						pid: 1,
						by: 'upgrade',
						state: supervisorState,
					}),
					supervisor('the new program cannot take over', { type: 'upgrade.failed', reason: 'imagined' }),
				]
			: []),
		// If no child is left, the next supervisor starts from an empty state.
		supervisor(
			'it is killed, and started again',
			survivors.children.length > 0
				? { type: 'supervisor.recovered', pid: 1, by: 'start', state: survivors }
				: { type: 'supervisor.started', pid: 1, plan: supervisorState.plan },
		),
	];
}

function drainingIn({ children, serving, candidate, stopSignal }: SupervisorState): number[] {
	if (stopSignal !== null) return [];
	const others = children.filter(({ generation }) => generation !== serving && generation !== candidate);
	return [...new Set(others.map(({ generation }) => generation))];
}

/** The events of the health checks that run: of the candidate, during its bake, and of a degraded serving generation. */
function checkEvents(state: SupervisorState): { what: string; external: ExternalEvent }[] {
	const { plan, candidate, serving, checks, isComplete } = state;
	if (plan.check === '') return [];
	const passes = (generation: number) => ({
		what: `generation ${generation} passes its health check`,
		external: { type: 'check.passed', generation, status: 200, millis: moment } as const,
	});
	const fails = (generation: number) => ({
		what: `generation ${generation} fails its health check`,
		external: {
			type: 'check.failed',
			generation,
			problem: '503',
			reason: `its health check -check=${plan.check} failed: 503`,
			millis: moment,
		} as const,
	});
	const isTold = state.stopSignal !== null || state.children.every(({ generation }) => generation !== serving);
	return [
		...(candidate !== null && isChecked(state) ? [passes(candidate), fails(candidate)] : []),
		...(candidate !== null && isBaking(state) ? [fails(candidate)] : []),
		...(checks.serving !== null && !isComplete && !isTold ? [passes(serving)] : []),
	];
}

/** The event that a child exits. @param survivors pids of its surviving processes */
export function endOf(
	{ child, pid }: Pick<ChildState, 'child' | 'pid'>,
	how: { code: number } | { signal: string; number: number } | 'unknown',
	survivors: number[] = [],
): ExternalEvent {
	const base = { type: 'child.exited', child, pid: pid ?? simulatedPid(child), survivors } as const;
	if (how === 'unknown') return { ...base, code: null, signal: null, status: 1 };
	return 'code' in how
		? { ...base, code: how.code, signal: null, status: how.code }
		: { ...base, code: null, signal: how.signal, status: 128 + how.number };
}

function nextEventsFor(child: ChildState, { plan }: SupervisorState, isNonChild: boolean): NextEvent[] {
	const { child: number, pid, phase } = child;
	const { kill } = killPlanOf(plan, child);
	const to = pid === null ? `child ${number}` : `child ${number} (${pid})`;
	const one = (what: string, external: ExternalEvent, after = moment): NextEvent => ({ to, what, external, after });
	const dies = one('it is killed by SIGKILL', endOf(child, { signal: 'killed', number: 9 }));
	const ends = isNonChild
		? [one('it exits with unknown status', endOf(child, 'unknown'))]
		: [one('it exits with 0', endOf(child, { code: 0 })), one('it exits with 1', endOf(child, { code: 1 })), dies];
	const leaves = one(
		'it ends, and leaves a worker',
		endOf(child, isNonChild ? 'unknown' : { code: 0 }, [9000 + number]),
	);
	const waitIsOver = one(
		plan.ready === 'notify' ? 'its deadline elapses' : 'its -start wait elapses',
		{ type: 'timer.elapsed', child: number, timer: 'boot' },
		plan.start,
	);
	const isLate = one('its kill timeout elapses', { type: 'timer.elapsed', child: number, timer: 'kill' }, kill);
	const late = kill > 0 || isNoGood(child) ? [isLate] : [];
	const accepts = [
		one('the listener check passes', { type: 'child.verified', child: number, isSeen: true }, 0),
		one(
			'the listener check fails',
			{ type: 'child.unverified', child: number, missing: ['its sockets'], reason: `${pid} does not accept` },
			plan.start,
		),
	];
	switch (phase) {
		case 'spawning':
			return [
				one('it is spawned', {
					type: 'child.spawned',
					child: number,
					pid: simulatedPid(number),
					startTime: number,
					pipe: number,
				}),
				one('the spawn fails', { type: 'child.spawnFailed', child: number, reason: 'imagined' }),
			];
		case 'booting':
			return [
				one('it reports that it is ready', { type: 'child.announced', child: number, by: 'notify' }),
				...(plan.ready === 'accept' && child.isSeen !== false ? accepts : [waitIsOver]),
				one('it requests more time', { type: 'child.delayed', child: number, millis: 2 * plan.start }),
				...ends,
				one('it is stopped by job control', { type: 'child.stopped', child: number, pid: pid ?? 0 }, plan.start),
			];
		case 'verifying':
			return [...accepts, ...ends];
		case 'serving':
			return [...ends, leaves];
		case 'draining':
			return [...ends, leaves, ...late];
		case 'killing':
			return isNonChild ? ends : [dies];
		case 'orphaned':
			return [one('its worker exits too', { type: 'group.gone', child: number }), ...late];
	}
}

/** The external event of a fact: without its number and time. */
export function externalEventOf({ seq: _, at: __, clock: ___, ...external }: Fact): ExternalEvent {
	return external as ExternalEvent;
}
