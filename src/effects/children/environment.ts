/** The variables that -env sets, for each generation. */
import { array, nullable, number, object, record, string } from 'valibot';
import type { Log } from '../log/log.ts';
import { inTime, isLate, lateText, start } from '../os/boundedReads.ts';
import type { Variables } from '../os/spawn.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import { bytesOf, readEnvironment } from './environmentFile.ts';

export const environmentSection = section('environment', () =>
	array(object({ generation: number(), variables: record(string(), nullable(string())) })),
);

export interface EnvironmentOptions {
	/** The path in -env; empty if the flag is not set. */
	path: string;
	handoverState: HandoverState;
	/** Whether a generation has children or pending respawns. */
	isThere: (generation: number) => boolean;
	log: Pick<Log, 'say'>;
}

/**
 * The variables of -env are read once per generation: all children of the generation get the same values. After a crash
 * of the supervisor, a respawn in an old generation reads them again.
 */
export function generationEnvironments({ path, handoverState, isThere, log }: EnvironmentOptions) {
	const kept = new Map<number, Variables>();
	for (const { generation, variables } of handoverState.restore(environmentSection) ?? []) {
		kept.set(
			generation,
			mapped(variables, (value) => (value === null ? undefined : bytesOf(value))),
		);
	}
	handoverState.save(environmentSection, () => ({
		state: [...kept].map(([generation, variables]) => ({
			generation,
			variables: mapped(variables, (value) =>
				value === undefined ? null : Buffer.from(value as string).toString('latin1'),
			),
		})),
		fds: [],
	}));

	/** @throws {Error} if the variables can't be read */
	return async (generation: number): Promise<Variables> => {
		if (path === '') return {};
		const known = kept.get(generation);
		if (known) return known;
		for (const each of kept.keys()) if (!isThere(each)) kept.delete(each);
		const read = await inTime(`-env ${path}`, start, () => readEnvironment(path));
		if (isLate(read)) throw new Error(lateText(`-env ${path}`, read));
		for (const remark of read.remarks) log.say('warn', `-env ${path}: ${remark}`);
		kept.set(generation, read.variables);
		return read.variables;
	};
}

function mapped<A, B>(from: Record<string, A>, change: (value: A) => B): Record<string, B> {
	return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, change(value)]));
}
