/** Whether a child holds its sockets: the same inodes among the fds of its own processes. */
import { readdirSync, readlinkSync } from 'node:fs';
import { type EventObject, fromCallback } from 'xstate';
import type { ProofInput } from '../../machines/childMessages.ts';
import type { Happening } from '../../machines/facts.ts';
import { familyOf } from '../os/family.ts';
import { lookUp } from '../os/proc.ts';
import type { Listener } from '../sockets/listener.ts';
import { describePlace } from './announcement.ts';

/** A socket that is on its way from a process to another is in neither: it is looked for once more, in milliseconds. */
const pause = 200;

export interface ProofOptions {
	admit: (happening: Happening) => void;
	listeners: Listener[];
	/** What children carry as SOCKETMASTER_RUN. */
	run: string;
	/** The pid of a child; null when it is gone. */
	pidOf: (child: number) => number | null;
	/** What a child has printed last. */
	wordsOf: (child: number) => { lastWords?: string[] };
}

/** Tells once what is seen. Of a child that is gone nothing is told: its end is. */
export function proofActor({ admit, listeners, run, pidOf, wordsOf }: ProofOptions) {
	return fromCallback<EventObject, ProofInput>(({ input: { child } }) => {
		const first = look();
		if (first === null) return;
		if (first.missing.length === 0) return tell(first);
		const again = setTimeout(() => {
			const second = look();
			if (second) tell(second);
		}, pause);
		return () => clearTimeout(again);

		function look(): Seen | null {
			const pid = pidOf(child);
			if (pid === null) return null;
			if (!isProcThere()) return { missing: [], isSeen: false };
			return lookUp(pid)?.isAlive
				? lookFor(listeners, pid, [`SOCKETMASTER_RUN=${run}`, `SOCKETMASTER_CHILD=${child}`])
				: null;
		}

		function tell({ missing, isSeen }: Seen) {
			if (missing.length === 0 || !isSeen) admit({ type: 'child.proved', child, isSeen });
			else admit({ type: 'child.unproved', child, missing, ...wordsOf(child) });
		}
	});
}

interface Seen {
	/** The sockets that nobody of them holds. */
	missing: string[];
	/** All of their fds could be looked at. */
	isSeen: boolean;
}

/** The child itself is looked at first: most hold all of them. */
function lookFor(listeners: Listener[], pid: number, mark: string[]): Seen {
	const wanted = new Set(listeners.map(({ inode }) => `socket:[${inode}]`));
	let isSeen = strikeHeld(pid, wanted);
	if (wanted.size > 0) for (const each of familyOf(pid, mark)) isSeen = strikeHeld(each, wanted) && isSeen;
	const missing = listeners.flatMap((listener, place) =>
		wanted.has(`socket:[${listener.inode}]`) ? describePlace(listener, place) : [],
	);
	return { missing, isSeen: isSeen || missing.length === 0 };
}

/** Strikes what a process holds off what is wanted. @returns whether that could be seen; a process that is gone holds nothing */
function strikeHeld(pid: number, wanted: Set<string>): boolean {
	try {
		strike(`/proc/${pid}/fd`, wanted);
		// A thread may have fds of its own, and those of a main thread that has ended are gone.
		if (wanted.size > 0)
			for (const thread of readdirSync(`/proc/${pid}/task`)) strike(`/proc/${pid}/task/${thread}/fd`, wanted);
		return true;
	} catch {
		return lookUp(pid) === null;
	}
}

function strike(folder: string, wanted: Set<string>) {
	for (const fd of readdirSync(folder)) {
		if (wanted.size === 0) return;
		try {
			wanted.delete(readlinkSync(`${folder}/${fd}`));
		} catch {
			// It was closed in between.
		}
	}
}

function isProcThere(): boolean {
	return lookUp(process.pid) !== null;
}
