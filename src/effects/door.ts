/** The one door: every fact passes it, is numbered and recorded there, before anybody acts on it. */
import type { Decision, Fact, Happening, HappeningFact } from '../machines/facts.ts';
import { stamped } from '../machines/facts.ts';
import { bootClock } from './os/clock.ts';

export interface Door {
	/** A happening: handed on as soon as the statecharts are done with the one before. */
	admit: (happening: Happening) => void;
	/** A decision: nothing follows from it but what the statecharts do next. */
	decide: (decision: Decision) => void;
	/** The number of the last fact. */
	last: () => number;
}

export interface DoorOptions {
	/** Sees every fact first. */
	record: (fact: Fact) => void;
	/** Has the statecharts live through a happening. */
	deliver: (happening: HappeningFact) => void;
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
export function openDoor({ record, deliver, rest = () => {}, after = 0, now = Date.now }: DoorOptions): Door {
	const waiting: HappeningFact[] = [];
	let seq = after;
	/** The happening that the charts live through; null while they wait. */
	let cause: number | null = null;

	function number<T extends Happening | Decision>(what: T) {
		seq += 1;
		const fact = stamped(what, { seq, at: now(), clock: bootClock, cause });
		record(fact);
		return fact;
	}

	function admit(happening: Happening) {
		waiting.push(number(happening) as HappeningFact);
		if (cause !== null) return;
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

	return { admit, decide: (decision) => void number(decision), last: () => seq };
}
