/** Type checks of the event that an action receives. An event of another type is an error in a statechart. */
import { assertEvent, type DoneActorEvent, type EventObject, type ExtractEvent } from 'xstate';

/** Narrows an event to these types. @throws {Error} if it has another type */
export function expectEvent<E extends EventObject, T extends E['type']>(event: E, ...types: T[]): ExtractEvent<E, T> {
	assertEvent(event, types);
	return event;
}

/** The output of an actor that is done. @throws {Error} if the event is not the end of an actor */
export function outputOf<O>(event: EventObject | DoneActorEvent<O>): O {
	if (!('output' in event)) throw new Error(`${event.type} is not the end of an actor`);
	return event.output as O;
}
