/** What one program leaves to the next in the same process: each effect leaves, and takes, its own part. */
import { type GenericSchema, safeParse } from 'valibot';

/** A part by its name, and what makes sense as one. */
export interface Section<T> {
	name: string;
	schema: () => GenericSchema<unknown, T>;
}

/** What an effect leaves: plain JSON, and the fds that have to stay open for it. */
interface Left {
	state: unknown;
	fds: number[];
}

export interface HandoverState {
	/** What the program before has left; null in a first program. @throws {Error} when it makes no sense */
	take: <T>(section: Section<T>) => T | null;
	/** What is left: asked for at the moment of the upgrade. */
	leave: (section: Section<unknown>, describe: () => Left) => void;
	/** All parts, as they are now. */
	collect: () => { states: Record<string, unknown>; fds: number[] };
}

/** All that are declared. */
export const sections: Section<unknown>[] = [];

/** Declares a part. What is declared is looked at when a new program checks itself, too. */
export function section<T>(name: string, schema: Section<T>['schema']): Section<T> {
	const declared = { name, schema };
	sections.push(declared);
	return declared;
}

/** @param left what the program before has left, by name; null in a first program */
export function newHandoverState(left: Record<string, unknown> | null): HandoverState {
	const descriptions = new Map<string, () => Left>();
	return {
		take: (section) => (left === null ? null : decode(section, left)),
		leave: ({ name }, describe) => descriptions.set(name, describe),
		collect: () => {
			const described = [...descriptions].map(([name, describe]) => ({ name, ...describe() }));
			return {
				states: Object.fromEntries(described.map(({ name, state }) => [name, state])),
				fds: described.flatMap(({ fds }) => fds),
			};
		},
	};
}

/** Whether this program understands all that would be left to it. @throws {Error} */
export function checkSections(states: Record<string, unknown>): void {
	for (const section of sections) decode(section, states);
}

function decode<T>({ name, schema }: Section<T>, states: Record<string, unknown>): T {
	const { success, output } = safeParse(schema(), states[name]);
	if (!success) throw new Error(`what the program before leaves as ${name} makes no sense`);
	return output as T;
}
