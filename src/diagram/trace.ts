/** Traces a step of the statecharts: the transitions that each actor takes, and the state that the actor reaches. */
import type { ActorRefLike, AnyActorRef, InspectionEvent } from 'xstate';
import { pathOf, wayId } from './chart.ts';

/** The transitions of one actor in one step. */
export interface Move {
	/** For example `supervisor`, `upgrade`, `generation.2`, `child.3`. */
	actor: string;
	/** The state that it reached: `alive.staying.booting`. */
	state: string;
	/** The actor reached its final state, and does not exist in the next step. */
	isFinal: boolean;
	/** The ids of the transitions that it took, as in `Way.id`. */
	ways: string[];
}

/** The name of an actor's statechart: `child` for `child.3`. */
export function chartNameOf(actor: string): string {
	return actor.split('.')[0] ?? '';
}

/** An observer for xstate's `inspect` that collects moves. */
export function tracer() {
	const known = new Map<string, string>();
	let moves = new Map<string, Move>();

	function inspect(event: InspectionEvent) {
		if (event.type === '@xstate.microstep') {
			note(event.actorRef, event.snapshot, event._transitions.map(wayId));
		} else if (event.type === '@xstate.snapshot') note(event.actorRef, event.snapshot, []);
	}

	function note(ref: ActorRefLike, snapshot: object, ways: string[]) {
		// An actor that is stopped from outside emits a snapshot too. It belongs to a statechart that has been replaced.
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

	/** Returns the moves since the last call. */
	function take(): Move[] {
		const taken = [...moves.values()];
		moves = new Map();
		return taken;
	}

	/** Forgets all actors, before a new statechart starts. */
	function forget() {
		known.clear();
		moves = new Map();
	}

	return { inspect, take, forget };
}
