/** The event that an action is written for: any other one is a mistake in a chart, and throws. */
import { assertEvent, type DoneActorEvent, type EventObject, type ExtractEvent } from 'xstate';

/** The event, which is one of these types. @throws {Error} */
export function expectEvent<E extends EventObject, T extends E['type']>(event: E, ...types: T[]): ExtractEvent<E, T> {
	assertEvent(event, types);
	return event;
}

/** What an actor ended with. @throws {Error} where the event is not its end */
export function outputOf<O>(event: EventObject | DoneActorEvent<O>): O {
	if (!('output' in event)) throw new Error(`${event.type} is not the end of an actor`);
	return event.output as O;
}
