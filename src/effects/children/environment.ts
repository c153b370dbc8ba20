/** The variables of -env, for each generation. */
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
	/** Of -env; empty where there is none. */
	path: string;
	handoverState: HandoverState;
	/** Whether a generation has children, or is to have some. */
	isThere: (generation: number) => boolean;
	log: Pick<Log, 'say'>;
}

/**
 * The variables of -env for each generation: read anew for it, and the same for all of its children. After a crash, what
 * is started again in an old generation gets them as they are then.
 */
export function generationEnvironments({ path, handoverState, isThere, log }: EnvironmentOptions) {
	const kept = new Map<number, Variables>();
	for (const { generation, variables } of handoverState.take(environmentSection) ?? []) {
		kept.set(
			generation,
			mapped(variables, (value) => (value === null ? undefined : bytesOf(value))),
		);
	}
	handoverState.leave(environmentSection, () => ({
		state: [...kept].map(([generation, variables]) => ({
			generation,
			variables: mapped(variables, (value) =>
				value === undefined ? null : Buffer.from(value as string).toString('latin1'),
			),
		})),
		fds: [],
	}));

	/** @throws {Error} where they can't be read */
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
