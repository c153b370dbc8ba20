/** What a file tells of a supervisor that can't be read as a journal: it is of another format, or damaged. */
import { bootId } from '../os/ids.ts';
import type { SocketFile } from '../sockets/socketFile.ts';

export interface Told {
	run: string | null;
	/** Null where the file does not tell. */
	supervisor: { pid: number; startTime: number } | null;
	/** What is told is of another boot: its numbers mean nothing. */
	isOfAnotherBoot: boolean;
	/** Start times and numbers of children, by pid. */
	children: Map<number, { startTime: number; child: number }>;
	listeners: { address: string; inode: number; file: SocketFile | null }[];
	lastGeneration: number;
	lastChild: number;
	/** The number of the last fact. */
	seq: number;
}

export function nothingTold(): Told {
	return {
		run: null,
		isOfAnotherBoot: false,
		supervisor: null,
		children: new Map(),
		listeners: [],
		lastGeneration: 0,
		lastChild: 0,
		seq: 0,
	};
}

/** Takes what each line tells, and no line for granted. Of several headers the last one counts. */
export function toldBy(bytes: Buffer): Told {
	const told = nothingTold();
	for (const line of bytes.toString('utf8').split('\n')) {
		const found = objectIn(line);
		if (found === null) continue;
		if (typeof found.journal === 'number') takeHeader(found, told);
		else takeFact(found, told);
	}
	return told;
}

function takeHeader(header: Record<string, unknown>, told: Told) {
	const { pid, startTime } = numbersIn(header);
	told.isOfAnotherBoot = header.boot !== undefined && header.boot !== bootId();
	told.run = typeof header.run === 'string' && !told.isOfAnotherBoot ? header.run : null;
	told.supervisor = pid !== undefined && startTime !== undefined && !told.isOfAnotherBoot ? { pid, startTime } : null;
	told.listeners = told.isOfAnotherBoot ? [] : objectsIn(header.listeners).flatMap(listenerIn);
}

function takeFact(fact: Record<string, unknown>, told: Told) {
	const state = objectsIn([fact.checkpoint ?? fact.state ?? fact.roster])[0] ?? {};
	for (const each of [fact, state, ...objectsIn(state.children)]) {
		const { pid, startTime, child = 0, generation = 0, lastGeneration = 0, lastChild = 0, seq = 0 } = numbersIn(each);
		if (pid !== undefined && startTime !== undefined && child > 0 && !told.isOfAnotherBoot)
			told.children.set(pid, { startTime, child });
		told.lastGeneration = Math.max(told.lastGeneration, generation, lastGeneration);
		told.lastChild = Math.max(told.lastChild, child, lastChild);
		told.seq = Math.max(told.seq, seq);
	}
}

function listenerIn(found: Record<string, unknown>): Told['listeners'] {
	const { inode } = numbersIn(found);
	const [file] = objectsIn([found.file]);
	const { dev, ino } = numbersIn(file ?? {});
	if (typeof found.address !== 'string' || inode === undefined) return [];
	const made = typeof file?.path === 'string' && dev !== undefined && ino !== undefined;
	return [{ address: found.address, inode, file: made ? { path: file.path as string, dev, ino } : null }];
}

/** Those of its fields that are numbers. */
function numbersIn(found: Record<string, unknown>): Record<string, number | undefined> {
	return Object.fromEntries(Object.entries(found).filter(([, value]) => Number.isSafeInteger(value))) as Record<
		string,
		number
	>;
}

function objectsIn(value: unknown): Record<string, unknown>[] {
	return Array.isArray(value) ? value.filter((each) => typeof each === 'object' && each !== null) : [];
}

function objectIn(line: string): Record<string, unknown> | null {
	try {
		// What was shortened and written on has NULs before its next line.
		return objectsIn([JSON.parse(line.replace(/^\0+/, ''))])[0] ?? null;
	} catch {
		return null;
	}
}
