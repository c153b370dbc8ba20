/** Makes facts: adds number, time and cause, and tells decisions from external events. */
import type { Decision, ExternalEvent, Fact, FactType } from './facts.ts';

/** The facts from which a wait or an uptime is measured. */
const timed = [
	'child.spawned',
	'child.stopped',
	'child.announced',
	'child.delayed',
	'child.verified',
	'child.unverified',
	'timer.elapsed',
	'child.signalled',
	'child.hung',
	'child.exited',
	'child.spawnFailed',
	'respawn.scheduled',
	'restart.scheduled',
	'bake.started',
	'check.started',
	'stop.begun',
	'generation.stopBegun',
] as const satisfies FactType[];

export type TimedType = (typeof timed)[number];

const isTimed = new Set<FactType>(timed);

export interface Stamp {
	seq: number;
	at: number;
	clock: () => number;
	/** The `seq` of the external event that the statecharts are processing; null while they are idle. */
	cause: number | null;
}

/** Makes a fact: adds the number, the time and, for a decision, the cause. */
export function stamped(what: ExternalEvent | Decision, { seq, at, clock, cause }: Stamp): Fact {
	return {
		seq,
		at,
		...what,
		...(isTimed.has(what.type) ? { clock: clock() } : {}),
		...(cause !== null && Object.hasOwn(decisions, what.type) ? { cause } : {}),
	};
}

/** All decisions: one that is missing here is a compile error. */
const decisions: Record<Decision['type'], true> = {
	'generation.started': true,
	'bake.started': true,
	'check.started': true,
	'generation.promoted': true,
	'generation.failed': true,
	'generation.degraded': true,
	'generation.exhausted': true,
	'child.spawning': true,
	'deadline.moved': true,
	'child.verifying': true,
	'child.ready': true,
	'child.rejected': true,
	'child.signalled': true,
	'child.lost': true,
	'child.abandoned': true,
	'respawn.scheduled': true,
	'rotation.queued': true,
	'request.refused': true,
	'signal.forwarded': true,
	'stop.begun': true,
	'generation.stopBegun': true,
	'stop.cancelled': true,
	'service.lost': true,
	'restart.scheduled': true,
	'upgrade.begun': true,
};

/** All external events: one that is missing here is a compile error. */
const externalTypes: Record<ExternalEvent['type'], true> = {
	'supervisor.started': true,
	'supervisor.recovered': true,
	'signal.HUP': true,
	'signal.TERM': true,
	'signal.INT': true,
	'signal.QUIT': true,
	'signal.USR1': true,
	'signal.USR2': true,
	'rotate.requested': true,
	'stop.requested': true,
	'generation.stopRequested': true,
	'upgrade.requested': true,
	'child.spawned': true,
	'child.spawnFailed': true,
	'child.exited': true,
	'group.gone': true,
	'child.stopped': true,
	'timer.elapsed': true,
	'child.announced': true,
	'child.delayed': true,
	'child.verified': true,
	'child.unseen': true,
	'child.unverified': true,
	'child.watched': true,
	'child.hung': true,
	'respawn.due': true,
	'restart.due': true,
	'bake.due': true,
	'check.tried': true,
	'check.passed': true,
	'check.failed': true,
	'upgrade.verified': true,
	'upgrade.refused': true,
	'upgrade.failed': true,
};

export function isExternalType(type: unknown): type is ExternalEvent['type'] {
	return typeof type === 'string' && Object.hasOwn(externalTypes, type);
}

export function isDecision(fact: Fact): fact is Extract<Fact, Decision> {
	return Object.hasOwn(decisions, fact.type);
}
