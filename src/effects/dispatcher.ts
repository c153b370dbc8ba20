/** The dispatcher: numbers and records every fact before any part of the program acts on it. */
import type { Decision, ExternalEvent, ExternalFact, Fact } from '../machines/facts/facts.ts';
import { stamped } from '../machines/facts/stamp.ts';
import { noProjections, type Projections } from '../machines/state/projections.ts';
import { bootClock } from './os/clock.ts';

export interface Dispatcher {
	/** Admits an external event. The statecharts receive it after they have processed the previous one. */
	admit: (external: ExternalEvent) => void;
	/** Records a decision that the statecharts have made. Only external events are delivered to the statecharts. */
	decide: (decision: Decision) => void;
	last: () => number;
	/**
	 * Adds a follower. It receives each later fact, with the projections of all facts before that fact. Followers are
	 * called in the order in which they were added.
	 */
	follow: (follower: Follower) => void;
	/** Connects the statecharts. Events admitted earlier wait and are delivered now. */
	connect: (deliver: (external: ExternalFact) => void) => void;
}

export type Follower = (fact: Fact, before: Projections) => void;

export interface DispatcherOptions {
	/** Receives every fact before the followers do. */
	record: (fact: Fact) => void;
	/** The projections of all recorded facts. */
	past?: () => Projections;
	/** Called when all waiting external events are delivered. */
	rest?: () => void;
	/** The number of the last fact of the previous supervisor process or program; numbering continues from it. */
	after?: number;
	/** The current time in milliseconds since 1970. */
	now?: () => number;
}

/**
 * Records each fact at once and delivers external events one at a time. If an effect admits an event while the
 * statecharts process another, the new event waits. A replay therefore sees the same facts in the same states.
 */
export function newDispatcher({
	record,
	past = () => noProjections,
	rest = () => {},
	after = 0,
	now = Date.now,
}: DispatcherOptions): Dispatcher {
	const waiting: ExternalFact[] = [];
	const followers: Follower[] = [];
	let deliver: ((external: ExternalFact) => void) | null = null;
	let seq = after;
	/** The number of the external event being processed; null if the statecharts are idle. */
	let cause: number | null = null;

	function number<T extends ExternalEvent | Decision>(what: T) {
		seq += 1;
		const fact = stamped(what, { seq, at: now(), clock: bootClock, cause });
		const before = past();
		record(fact);
		for (const follower of followers) follower(fact, before);
		return fact;
	}

	function admit(external: ExternalEvent) {
		waiting.push(number(external) as ExternalFact);
		if (cause === null && deliver !== null) deliverAll(deliver);
	}

	function connect(next: (external: ExternalFact) => void) {
		deliver = next;
		if (waiting.length > 0) deliverAll(next);
	}

	function deliverAll(deliver: (external: ExternalFact) => void) {
		try {
			for (let fact = waiting.shift(); fact; fact = waiting.shift()) {
				cause = fact.seq;
				deliver(fact);
			}
		} finally {
			cause = null;
		}
		rest();
	}

	return {
		admit,
		decide: (decision) => void number(decision),
		last: () => seq,
		follow: (follower) => void followers.push(follower),
		connect,
	};
}
