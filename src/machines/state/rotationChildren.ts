/** What a rotation records of its children: spawns, exits, last output, and surviving processes. */
import type { Fact, FactOf, ReadySource } from '../facts/facts.ts';
import { change, type Rotation, type Rotations } from './rotations.ts';
import { isLeaving, type SupervisorState } from './supervisorState.ts';

/**
 * Limits per rotation, so that crash-looping children can't grow it forever. The characters are those of all lines
 * together.
 */
const [mostLines, mostCharacters, mostChildren] = [20, 8192, 4096];

/** Adds a spawned child, and of the first one the time, the program and its directory. */
export function withSpawned(
	rotations: Rotations,
	fact: FactOf<'child.spawned'>,
	before: SupervisorState | null,
): Rotations {
	return ofChild(rotations, fact, before, ({ pids, spawnedAt }) => ({
		pids: [...pids, fact.pid].slice(-mostChildren),
		spawnedAt: spawnedAt ?? fact.at,
		...(spawnedAt === null ? { program: fact.program ?? null, directory: fact.directory ?? null } : {}),
	}));
}

export function withExit(
	rotations: Rotations,
	fact: FactOf<'child.exited'>,
	before: SupervisorState | null,
): Rotations {
	const { pid, code, signal } = fact;
	return ofChild(rotations, fact, before, ({ exits }) => ({
		exits: [...exits, { pid, code, signal }].slice(-mostChildren),
	}));
}

/**
 * Adds children that the recovery found, whose `child.spawned` an earlier supervisor did not record before it exited.
 */
export function withFound(rotations: Rotations, { at, state }: FactOf<'supervisor.recovered'>): Rotations {
	return state.children.reduce((found, { generation, pid }) => {
		const own = found.kept.find((each) => each.generation === generation);
		if (pid === null || own?.pids.includes(pid)) return found;
		return change(found, generation, ({ pids, spawnedAt }) => ({ pids: [...pids, pid], spawnedAt: spawnedAt ?? at }));
	}, rotations);
}

/** Adds the surviving processes of a replaced generation to the rotation that replaced it. */
export function withSurvivors(
	rotations: Rotations,
	{ child: id, holders = [] }: FactOf<'child.exited'>,
	before: SupervisorState | null,
) {
	const known = before?.children.find(({ child }) => child === id);
	if (holders.length === 0 || !known || !isLeaving(known)) return rotations;
	const { generation } = known;
	const found = rotations.kept.findLast(({ replaced }) => replaced.includes(generation));
	const added = holders.map((holder) => ({ ...holder, generation }));
	return withSurvivorsOf(rotations, found, (survivors) => [...survivors, ...added].slice(-mostChildren));
}

export function withoutSurvivors(
	rotations: Rotations,
	{ child: id }: FactOf<'group.gone'>,
	before: SupervisorState | null,
): Rotations {
	const gone = before?.children.find(({ child }) => child === id)?.survivors ?? [];
	const found = rotations.kept.find(({ survivors }) => survivors.some(({ pid }) => gone.includes(pid)));
	return withSurvivorsOf(rotations, found, (survivors) => survivors.filter(({ pid }) => !gone.includes(pid)));
}

/** Changes the survivors of a rotation, also after its result. */
function withSurvivorsOf(
	rotations: Rotations,
	found: Rotation | undefined,
	changeOf: (survivors: Rotation['survivors']) => Rotation['survivors'],
): Rotations {
	if (!found) return rotations;
	const kept = rotations.kept.map((each) => (each === found ? { ...each, survivors: changeOf(each.survivors) } : each));
	return { ...rotations, kept };
}

export function withLastOutput(
	rotations: Rotations,
	fact: Fact & { child: number; lastOutput?: string[] },
	before: SupervisorState | null,
) {
	const { lastOutput = [] } = fact;
	if (lastOutput.length === 0) return rotations;
	return ofChild(rotations, fact, before, (rotation) => withLines(rotation, lastOutput));
}

/** Adds lines to the output tail. */
export function withLines({ lastOutput }: Rotation, lines: string[]): Pick<Rotation, 'lastOutput'> {
	return { lastOutput: lastOf([...lastOutput, ...lines]) };
}

/**
 * At most `mostLines` lines from the end, within `mostCharacters` characters together; the last line is always kept.
 */
function lastOf(lines: string[]): string[] {
	let left = mostCharacters;
	const kept = lines.slice(-mostLines).reverse();
	return kept
		.filter(({ length }, index) => {
			left -= length;
			return left >= 0 || index === 0;
		})
		.reverse();
}

function ofChild(
	rotations: Rotations,
	{ child }: { child: number },
	before: SupervisorState | null,
	changeOf: (rotation: Rotation) => Partial<Rotation>,
): Rotations {
	const generation = before?.children.find((each) => each.child === child)?.generation;
	return generation === undefined ? rotations : change(rotations, generation, changeOf);
}

/** What made the children of a generation ready: the weakest source of all its children. */
export function weakestSource(state: SupervisorState | null, generation: number): ReadySource | null {
	const sources = (state?.children ?? []).flatMap((each) =>
		each.generation === generation ? (each.readyBy ?? []) : [],
	);
	if (sources.includes('wait')) return 'wait';
	return sources.includes('accept') ? 'accept' : (sources.at(-1) ?? null);
}
