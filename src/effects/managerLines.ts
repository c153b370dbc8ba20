/** The lines of sd_notify(3) that follow from a fact. */
import type { Fact } from '../machines/facts/facts.ts';
import { bootDeadline } from '../machines/rules/verification.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import { bootClock, monotonicMicros } from './os/clock.ts';

/**
 * Added to the boot deadline when the start timeout is extended, in milliseconds: the supervisor must fail before the
 * service manager gives up.
 */
const slack = 10_000;

/** The state of the service as already reported. */
export interface Reported {
	isReady: boolean;
	isReloading: boolean;
}

/** The lines to send for a fact, and the state that they leave reported. */
export interface Report {
	lines: string[];
	reported: Reported;
}

export function reportOf(fact: Fact, supervisorState: SupervisorState, reported: Reported): Report {
	const { isReady, isReloading } = reported;
	switch (fact.type) {
		case 'supervisor.recovered':
			return fact.by === 'start' ? afterCrash(supervisorState) : afterUpgrade(supervisorState, reported);
		case 'generation.started':
			if (!isReady || isReloading) return { lines: [], reported };
			return { lines: reloading(), reported: { isReady, isReloading: true } };
		case 'generation.promoted':
			// A generation kept as degraded can become complete while its successor still boots. The
			// reload continues then.
			if (isReady && (!isReloading || supervisorState.candidate !== null)) return { lines: [], reported };
			return { lines: ['READY=1'], reported: { isReady: true, isReloading: false } };
		case 'generation.failed':
		case 'generation.degraded':
			if (!isReloading) return { lines: [], reported };
			return { lines: ['READY=1'], reported: { isReady, isReloading: false } };
		case 'stop.begun':
			return { lines: ['STOPPING=1'], reported };
		case 'check.started':
		case 'child.spawned':
		case 'respawn.scheduled':
		case 'child.stopped':
		case 'deadline.moved':
			return { lines: isReady ? [] : extension(supervisorState), reported };
		default:
			return { lines: [], reported };
	}
}

/**
 * After a crash the supervisor is a new process, so the state is reported again. A generation kept as degraded
 * counts as ready if one of its children serves.
 */
function afterCrash({ isComplete, serving, children, stopSignal, candidate }: SupervisorState): Report {
	const isServed = children.some(({ generation, phase }) => generation === serving && phase === 'serving');
	const isReady = (isComplete || isServed) && stopSignal === null;
	const reported = { isReady, isReloading: isReady && candidate !== null };
	if (!isReady) return { lines: [], reported };
	return { lines: reported.isReloading ? ['READY=1', ...reloading()] : ['READY=1'], reported };
}

/**
 * After an upgrade the process is the same. A rotation that was running before an internal error may have been
 * dropped.
 */
function afterUpgrade({ candidate, stopSignal }: SupervisorState, reported: Reported): Report {
	if (!reported.isReloading || candidate !== null || stopSignal !== null) return { lines: [], reported };
	return { lines: ['READY=1'], reported: { ...reported, isReloading: false } };
}

/** If MONOTONIC_USEC is older than systemd's SIGHUP, systemd attributes the RELOADING=1 to an earlier reload. */
function reloading(): string[] {
	return ['RELOADING=1', `MONOTONIC_USEC=${monotonicMicros()}`];
}

/** Extends the start timeout to the latest deadline among the booting children, the scheduled respawns and the health check. */
function extension({ children, respawns, plan, checks: { candidate: check } }: SupervisorState): string[] {
	const booting = children.flatMap(({ phase, deadline, clock }) =>
		phase === 'booting' && clock !== null ? bootDeadline(plan, deadline, clock) : [],
	);
	const due = respawns.map(({ clock, millis }) => (clock ?? bootClock()) + millis + plan.start);
	const checked = check === null ? [] : [(check.clock ?? bootClock()) + check.millis];
	const deadlines = [...booting, ...due, ...checked];
	if (deadlines.length === 0) return [];
	const left = Math.max(0, Math.max(...deadlines) - bootClock()) + slack;
	return [`EXTEND_TIMEOUT_USEC=${Math.ceil(left) * 1000}`];
}
