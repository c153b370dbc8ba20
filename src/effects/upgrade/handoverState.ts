/**
 * The state that one program hands over to the next in the same process. Each effect saves and restores its own
 * section.
 */
import { type GenericSchema, safeParse } from 'valibot';

/** A section: its name, and the schema of its state. */
export interface Section<T> {
	name: string;
	schema: () => GenericSchema<unknown, T>;
}

/** The saved state of a section as plain JSON, and the fds that must stay open for it. */
interface Saved<T> {
	state: T;
	fds: number[];
}

export interface HandoverState {
	/**
	 * Restores a section saved by the previous program; null in a first program.
	 * @throws {Error} if its state is invalid
	 */
	restore: <T>(section: Section<T>) => T | null;
	/** Registers the function that saves a section. It is called at the moment of the upgrade. */
	save: <T>(section: Section<T>, describe: () => Saved<NoInfer<T>>) => void;
	/** Saves all sections as they are now. */
	collect: () => { states: Record<string, unknown>; fds: number[] };
}

/** All declared sections. */
export const sections: Section<unknown>[] = [];

/** Declares a section. The preflight check of a new program validates every declared section. */
export function section<T>(name: string, schema: Section<T>['schema']): Section<T> {
	const declared = { name, schema };
	sections.push(declared);
	return declared;
}

/** @param saved the sections saved by the previous program, by name; null in a first program */
export function newHandoverState(saved: Record<string, unknown> | null): HandoverState {
	const descriptions = new Map<string, () => Saved<unknown>>();
	return {
		restore: (section) => (saved === null ? null : decode(section, saved)),
		save: ({ name }, describe) => descriptions.set(name, describe),
		collect: () => {
			const described = [...descriptions].map(([name, describe]) => ({ name, ...describe() }));
			return {
				states: Object.fromEntries(described.map(({ name, state }) => [name, state])),
				fds: described.flatMap(({ fds }) => fds),
			};
		},
	};
}

/** Checks that this program can restore every section. @throws {Error} */
export function checkSections(states: Record<string, unknown>): void {
	for (const section of sections) decode(section, states);
}

function decode<T>({ name, schema }: Section<T>, states: Record<string, unknown>): T {
	const { success, output } = safeParse(schema(), states[name]);
	if (!success) throw new Error(`the section ${name} in the handover of the previous program can't be read`);
	return output as T;
}
