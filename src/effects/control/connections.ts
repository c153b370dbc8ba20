/** Which connections each child holds of the listeners: why one that was told to leave is still there. Looked for only when somebody asks. */
import { opendirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { allPids, fileOf, lookUp } from '../os/proc.ts';
import { splitHostPort } from '../sockets/address.ts';
import { type Connection, tcpConnections, unixConnections } from '../sockets/diag.ts';
import type { Listener } from '../sockets/listener.ts';

/** So many files of processes are looked at before others have their turn. */
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
		for (const [pid, family] of await familiesOf(pids)) {
			const own = new Map<number, Connection>();
			let isSeen = true;
			for (const each of family) isSeen = (await findHeld(each, known, own)) && isSeen;
			held.set(pid, isSeen || own.size > 0 ? [...own.values()] : null);
		}
		return held;
	} catch {
		return null;
	}
}

/** Those of all listeners, by inode. */
async function allConnections(listeners: Listener[]): Promise<Map<number, Connection>> {
	const known = new Map<number, Connection>();
	const seen = new Set<string | number>();
	for (const { address } of listeners) {
		if (address === '') throw new Error('one without a name is not known by it');
		const isTcp = /^(\[.*\]|[\d.]+):\d+$/.test(address);
		const key = isTcp ? Number(splitHostPort(address).port) : address;
		if (seen.has(key)) continue;
		seen.add(key);
		const found = typeof key === 'number' ? tcpConnections(key) : unixConnections(key);
		for await (const part of found) for (const each of part) known.set(each.inode, each);
	}
	return known;
}

/** The processes of each child, itself first. */
async function familiesOf(pids: number[]): Promise<Map<number, number[]>> {
	const families = new Map(pids.map((pid) => [pid, [pid]]));
	const stats = new Map<number, { parent: number; group: number }>();
	for (const [index, pid] of allPids().entries()) {
		if (index % mostAtOnce === mostAtOnce - 1) await setImmediate();
		const stat = lookUp(pid);
		if (stat) stats.set(pid, stat);
	}
	for (const [pid, { group }] of stats) {
		if (families.has(pid)) continue;
		let at: number | undefined = pid;
		for (let steps = 0; at !== undefined && at > 1 && steps < 64 && !families.has(at); steps += 1)
			at = stats.get(at)?.parent;
		(families.get(at ?? 0) ?? families.get(group))?.push(pid);
	}
	return families;
}

/** @returns whether its files could be looked at; a process that is gone holds nothing */
async function findHeld(pid: number, known: Map<number, Connection>, own: Map<number, Connection>): Promise<boolean> {
	try {
		const folder = opendirSync(`/proc/${pid}/fd`, { bufferSize: mostAtOnce });
		try {
			let count = 0;
			for (let entry = folder.readSync(); entry; entry = folder.readSync()) {
				count += 1;
				if (count % mostAtOnce === 0) await setImmediate();
				const [, inode] = /^socket:\[(\d+)\]$/.exec(fileOf(pid, Number(entry.name)) ?? '') ?? [];
				const connection = inode === undefined ? undefined : known.get(Number(inode));
				if (connection) own.set(connection.inode, connection);
			}
			return true;
		} finally {
			folder.closeSync();
		}
	} catch {
		return lookUp(pid) === null;
	}
}
