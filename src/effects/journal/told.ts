/** What a file tells of children and sockets that can't be read as a journal: of another format, or damaged. */
import { bootId } from '../os/identity.ts';

export interface Told {
	run: string | null;
	/** Start times and numbers of children, by pid. */
	children: Map<number, { startTime: number; child: number }>;
	/** Inodes of the listening sockets. */
	sockets: Set<number>;
}

/** Takes what each line tells, and no line for granted. Of several headers the last one counts. */
export function toldBy(bytes: Buffer): Told {
	const told: Told = { run: null, children: new Map(), sockets: new Set() };
	for (const line of bytes.toString('utf8').split('\n')) {
		const found = objectIn(line);
		if (found === null) continue;
		if (typeof found.journal === 'number' && typeof found.run === 'string') {
			told.run = found.run;
			told.sockets = new Set(
				found.boot === bootId() ? objectsIn(found.listeners).flatMap((each) => numberIn(each, 'inode')) : [],
			);
		}
		const { children } = (found.checkpoint ?? found.roster ?? {}) as { children?: unknown };
		for (const each of [found, ...objectsIn(children)]) {
			const [pid, startTime, child] = ['pid', 'startTime', 'child'].flatMap((name) => numberIn(each, name));
			if (pid !== undefined && startTime !== undefined && child !== undefined)
				told.children.set(pid, { startTime, child });
		}
	}
	return told;
}

function objectsIn(value: unknown): Record<string, unknown>[] {
	return Array.isArray(value) ? value.filter((each) => typeof each === 'object' && each !== null) : [];
}

function numberIn(found: Record<string, unknown>, name: string): number[] {
	const value = found[name];
	return Number.isSafeInteger(value) ? [value as number] : [];
}

function objectIn(line: string): Record<string, unknown> | null {
	try {
		// What was shortened and written on has NULs before its next line.
		const value = JSON.parse(line.replace(/^\0+/, ''));
		return typeof value === 'object' ? value : null;
	} catch {
		return null;
	}
}
