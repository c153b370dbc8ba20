/**
 * Finds the connections of the listeners that each child holds. They explain why a draining child is still alive. The
 * search runs only on request.
 */
import { opendirSync } from 'node:fs';
import { asOwner } from '../os/asOwner.ts';
import { hasEnded, linkAt } from '../os/proc.ts';
import { treesOf } from '../os/processTree.ts';
import { giveTurn } from '../os/yielding.ts';
import { allConnections } from '../sockets/connections.ts';
import type { Connection } from '../sockets/diag.ts';
import type { Listener } from '../sockets/listener.ts';

/** Directory entries of /proc/PID/fd that are read at a time. */
const mostAtOnce = 256;

/** The connections of each child, by its pid; null for a child whose files cannot be read. */
export type Held = Map<number, Connection[] | null>;

/**
 * Finds the connections that children hold, including their descendants and the members of their process groups.
 * @returns null if the kernel does not list connections
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

/**
 * @returns whether the files of the process could be read; true for a process that has exited, as it holds nothing
 */
async function findHeld(pid: number, known: Map<number, Connection>, own: Map<number, Connection>): Promise<boolean> {
	try {
		const folder = asOwner(() => opendirSync(`/proc/${pid}/fd`, { bufferSize: mostAtOnce }));
		try {
			for (let entry = folder.readSync(); entry; entry = folder.readSync()) {
				await giveTurn();
				const [, inode] = /^socket:\[(\d+)\]$/.exec(asOwner(() => linkAt(`/proc/${pid}/fd/${entry.name}`))) ?? [];
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
