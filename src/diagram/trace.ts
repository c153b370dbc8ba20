/** What a step does to each chart: the ways that are taken, and where they lead. */
import type { ActorRefLike, AnyActorRef, InspectionEvent } from 'xstate';
import { pathOf, wayId } from './chart.ts';

export interface Move {
	/** `supervisor`, `upgrade`, `generation.2`, `child.3`. */
	actor: string;
	/** Where it is now: `alive.staying.booting`. */
	state: string;
	/** It has come to its end: it is gone with the next step. */
	isFinal: boolean;
	/** The ways that were taken, as a chart names them. */
	ways: string[];
}

/** The chart that an actor has: `child` of `child.3`. */
export function chartNameOf(actor: string): string {
	return actor.split('.')[0] ?? '';
}

/** An observer for xstate's `inspect` that remembers moves. */
export function tracer() {
	const known = new Map<string, string>();
	let moves = new Map<string, Move>();

	function inspect(event: InspectionEvent) {
		if (event.type === '@xstate.microstep') {
			note(event.actorRef, event.snapshot, event._transitions.map(wayId));
		} else if (event.type === '@xstate.snapshot') note(event.actorRef, event.snapshot, []);
	}

	function note(ref: ActorRefLike, snapshot: object, ways: string[]) {
		// An actor that is stopped from outside says so: of a life that is over nobody wants to know.
		if (!('value' in snapshot) || !('status' in snapshot) || snapshot.status === 'stopped') return;
		const { id, _parent } = ref as AnyActorRef;
		const actor = _parent === undefined ? 'supervisor' : id;
		const state = pathOf(snapshot.value);
		const before = moves.get(actor);
		if (!before && ways.length === 0 && known.get(actor) === state) return;
		const isFinal = snapshot.status === 'done';
		moves.set(actor, { actor, state, isFinal, ways: [...(before?.ways ?? []), ...ways] });
		if (isFinal) known.delete(actor);
		else known.set(actor, state);
	}

	/** The moves since the last call. */
	function take(): Move[] {
		const taken = [...moves.values()];
		moves = new Map();
		return taken;
	}

	/** A new life begins: of the actors before none is left. */
	function forget() {
		known.clear();
		moves = new Map();
	}

	return { inspect, take, forget };
}
