/** The one door: every fact passes it before a statechart sees it. */
import { type Observable, Subject } from 'rxjs';
import type { Fact, Happening } from '../machines/facts.ts';

export interface Door {
	/** Numbers, times and records a fact, then hands it on as soon as the statecharts are done with the one before. */
	admit: (happening: Happening) => void;
	facts: Observable<Fact>;
	/** The number of the last fact. */
	last: () => number;
}

/**
 * Facts are recorded the moment they come and delivered one at a time: what an effect tells while the
 * charts still act on a fact waits for its turn, so that a replay meets the same facts in the same states.
 * @param record sees every fact first, and whether the charts are at rest, with all facts before it done with
 * @param after the number of the last fact of an earlier life
 */
export function openDoor(
	record: (fact: Fact, isAtRest: boolean) => void,
	now: () => number = Date.now,
	after = 0,
): Door {
	const facts = new Subject<Fact>();
	const waiting: Fact[] = [];
	let seq = after;
	let isDelivering = false;

	function admit(happening: Happening) {
		seq += 1;
		const fact = { seq, at: now(), ...happening };
		record(fact, !isDelivering);
		waiting.push(fact);
		if (!isDelivering) deliver();
	}

	function deliver() {
		isDelivering = true;
		try {
			for (let fact = waiting.shift(); fact; fact = waiting.shift()) facts.next(fact);
		} finally {
			isDelivering = false;
		}
	}

	return { admit, facts, last: () => seq };
}
