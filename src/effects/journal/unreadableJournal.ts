/** Extracts what it can from a journal that is damaged or has an unknown format. */
import { bootId } from '../os/ids.ts';
import type { SocketFile } from '../sockets/socketFile.ts';

export interface Told {
	run: string | null;
	/** Null if the file does not name the supervisor. */
	supervisor: { pid: number; startTime: number } | null;
	/** The file was written in an earlier boot, so its pids and inodes are invalid. */
	isOfAnotherBoot: boolean;
	/** Start times and child numbers, by pid. */
	children: Map<number, { startTime: number; child: number }>;
	listeners: { address: string; inode: number; file: SocketFile | null }[];
	lastGeneration: number;
	lastChild: number;
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

/** Collects the fields of each line and validates each field. If there are several headers, the last one counts. */
export function toldBy(bytes: Buffer): Told {
	const recorded = nothingTold();
	for (const line of bytes.toString('utf8').split('\n')) {
		const found = objectIn(line);
		if (found === null) continue;
		if (typeof found.journal === 'number') takeHeader(found, recorded);
		else takeFact(found, recorded);
	}
	return recorded;
}

function takeHeader(header: Record<string, unknown>, recorded: Told) {
	const { pid, startTime } = numbersIn(header);
	recorded.isOfAnotherBoot = header.boot !== undefined && header.boot !== bootId();
	recorded.run = typeof header.run === 'string' && !recorded.isOfAnotherBoot ? header.run : null;
	recorded.supervisor =
		pid !== undefined && startTime !== undefined && !recorded.isOfAnotherBoot ? { pid, startTime } : null;
	recorded.listeners = recorded.isOfAnotherBoot ? [] : objectsIn(header.listeners).flatMap(listenerIn);
}

function takeFact(fact: Record<string, unknown>, recorded: Told) {
	const state = objectsIn([fact.checkpoint ?? fact.state ?? fact.roster])[0] ?? {};
	for (const each of [fact, state, ...objectsIn(state.children)]) {
		const { pid, startTime, child = 0, generation = 0, lastGeneration = 0, lastChild = 0, seq = 0 } = numbersIn(each);
		if (pid !== undefined && startTime !== undefined && child > 0 && !recorded.isOfAnotherBoot)
			recorded.children.set(pid, { startTime, child });
		recorded.lastGeneration = Math.max(recorded.lastGeneration, generation, lastGeneration);
		recorded.lastChild = Math.max(recorded.lastChild, child, lastChild);
		recorded.seq = Math.max(recorded.seq, seq);
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

/** Returns the fields that are safe integers. */
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
		// A file that was truncated while open for writing has NUL bytes before its next line.
		return objectsIn([JSON.parse(line.replace(/^\0+/, ''))])[0] ?? null;
	} catch {
		return null;
	}
}
