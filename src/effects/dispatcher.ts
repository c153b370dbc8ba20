/** The one door: every fact passes it, is numbered and recorded there, before anybody acts on it. */
import type { Decision, ExternalEvent, ExternalFact, Fact } from '../machines/facts/facts.ts';
import { stamped } from '../machines/facts/facts.ts';
import { noProjections, type Projections } from '../machines/state/projections.ts';
import { bootClock } from './os/clock.ts';

export interface Dispatcher {
	/** A happening: handed on as soon as the statecharts are done with the one before. */
	admit: (external: ExternalEvent) => void;
	/** A decision: nothing follows from it but what the statecharts do next. */
	decide: (decision: Decision) => void;
	/** The number of the last fact. */
	last: () => number;
	/** Who is told of each fact from now on, and of what all facts before amount to; after those that follow already. */
	follow: (told: Follower) => void;
	/** Has the statecharts live through the happenings: what came before waits for them. */
	connect: (deliver: (external: ExternalFact) => void) => void;
}

export type Follower = (fact: Fact, before: Projections) => void;

export interface DispatcherOptions {
	/** Sees every fact first. */
	record: (fact: Fact) => void;
	/** What all facts that were recorded amount to. */
	past?: () => Projections;
	/** Told when all happenings are done with. */
	rest?: () => void;
	/** The number of the last fact of an earlier life. */
	after?: number;
	/** Milliseconds since 1970. */
	now?: () => number;
}

/**
 * Facts are recorded the moment they come. Happenings are delivered one at a time: what an effect tells while
 * the charts still act on one waits for its turn, so that a replay meets the same facts in the same states.
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
	/** The happening that the charts live through; null while they wait. */
	let cause: number | null = null;

	function number<T extends ExternalEvent | Decision>(what: T) {
		seq += 1;
		const fact = stamped(what, { seq, at: now(), clock: bootClock, cause });
		const before = past();
		record(fact);
		for (const told of followers) told(fact, before);
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
		follow: (told) => void followers.push(told),
		connect,
	};
}
