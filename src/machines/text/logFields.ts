/** What a JSON log line says of a fact beside its sentence: for scripts that read the log. */
import type { Fact } from '../facts/facts.ts';
import type { SupervisorState } from '../state/supervisorState.ts';

export interface LogFields {
	/** The type of the fact: `generation.promoted`; `health.changed` for a change of the service's health. */
	event: string;
	generation?: number;
	/** The pid of the child that the fact concerns. */
	child?: number;
	reason?: string;
	/** The result of a rotation: `promoted`, `failed`, `stopped`. The health, if that has changed: `ok`, `degraded`, `down`. */
	result?: string;
}

const results: Partial<Record<Fact['type'], string>> = {
	'generation.promoted': 'promoted',
	'generation.failed': 'failed',
	'generation.degraded': 'failed',
};

/** @param before the fold of all earlier facts */
export function logFieldsOf(fact: Fact, before: SupervisorState | null): LogFields {
	const own = 'child' in fact ? before?.children.find(({ child }) => child === fact.child) : undefined;
	const generation = 'generation' in fact ? fact.generation : own?.generation;
	const pid = 'child' in fact ? ('pid' in fact ? fact.pid : own?.pid) : undefined;
	const result = results[fact.type];
	return {
		event: fact.type,
		...(generation == null ? {} : { generation }),
		...(pid == null ? {} : { child: pid }),
		...('reason' in fact && fact.reason !== undefined ? { reason: fact.reason } : {}),
		...(result === undefined ? {} : { result }),
	};
}

/** Whether a line tells a verdict: what a deploy came to, or how the service is now. */
export function isVerdict({ event }: LogFields): boolean {
	return event === 'health.changed' || event in results;
}
