/** What one program leaves to the next in the same process: each effect leaves, and takes, its own part. */
import { type GenericSchema, safeParse } from 'valibot';

/** What an effect leaves: plain JSON, and the fds that have to stay open for it. */
export interface Part {
	state: unknown;
	fds: number[];
}

export interface Inheritance {
	/** What the program before has left under this name; null in a first program. @throws {Error} when it makes no sense */
	take: <T>(name: string, schema: () => GenericSchema<unknown, T>) => T | null;
	/** What is left under this name: asked for at the moment of the upgrade. */
	leave: (name: string, describe: () => Part) => void;
	/** All parts, as they are now. */
	collect: () => { states: Record<string, unknown>; fds: number[] };
}

/** @param left what the program before has left, by name; null in a first program */
export function inheritanceOf(left: Record<string, unknown> | null): Inheritance {
	const parts = new Map<string, () => Part>();
	return {
		take: (name, schema) => {
			if (left === null) return null;
			const { success, output } = safeParse(schema(), left[name]);
			if (!success) throw new Error(`what the program before has left as ${name} makes no sense`);
			return output;
		},
		leave: (name, describe) => parts.set(name, describe),
		collect: () => {
			const described = [...parts].map(([name, describe]) => ({ name, ...describe() }));
			return {
				states: Object.fromEntries(described.map(({ name, state }) => [name, state])),
				fds: described.flatMap(({ fds }) => fds),
			};
		},
	};
}
