/** Which connections each child holds of the listeners: why one that was told to leave is still there. Looked for only when somebody asks. */
import { opendirSync } from 'node:fs';
import { hasEnded, linkAt } from '../os/proc.ts';
import { treesOf } from '../os/processTree.ts';
import { giveTurn } from '../os/yielding.ts';
import { allConnections } from '../sockets/connections.ts';
import type { Connection } from '../sockets/diag.ts';
import type { Listener } from '../sockets/listener.ts';

/** So many files of a process are read at a time. */
const mostAtOnce = 256;

/** Of each child by its pid; null of one that can't be looked at. */
export type Held = Map<number, Connection[] | null>;

/**
 * What children hold, with the processes descended from them, and those of their process groups.
 * @returns null where the kernel does not tell
 */
export async function connectionsOf(listeners: Listener[], pids: number[]): Promise<Held | null> {
	const held: Held = new Map(pids.map((pid) => [pid, []]));
	try {
		const known = await allConnections(listeners);
		if (known.size === 0) return held;
		for (const [pid, tree] of await treesOf(pids.map((pid) => ({ pid, mark: [] })))) {
			const own = new Map<number, Connection>();
			let isSeen = true;
			for (const each of tree) isSeen = (await findHeld(each, known, own)) && isSeen;
			held.set(pid, isSeen ? [...own.values()] : null);
		}
		return held;
	} catch {
		return null;
	}
}

/** @returns whether its files could be looked at; a process that is gone holds nothing */
async function findHeld(pid: number, known: Map<number, Connection>, own: Map<number, Connection>): Promise<boolean> {
	try {
		const folder = opendirSync(`/proc/${pid}/fd`, { bufferSize: mostAtOnce });
		try {
			for (let entry = folder.readSync(); entry; entry = folder.readSync()) {
				await giveTurn();
				const [, inode] = /^socket:\[(\d+)\]$/.exec(linkAt(`/proc/${pid}/fd/${entry.name}`)) ?? [];
				const connection = inode === undefined ? undefined : known.get(Number(inode));
				if (connection) own.set(connection.inode, connection);
			}
			return true;
		} finally {
			folder.closeSync();
		}
	} catch {
		return hasEnded(pid);
	}
}
