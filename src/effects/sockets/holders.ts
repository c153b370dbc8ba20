/** Finds the processes that hold an address that is in use. */
import { readFileSync } from 'node:fs';
import { environmentOf } from '../os/environments.ts';
import { listOf } from '../os/errorText.ts';
import { allPids, fdsAmong, lookUp } from '../os/proc.ts';
import { harmless } from '../terminal/format.ts';
import { listeningTcp, listeningUnix } from './diag.ts';
import { ListenError } from './listener.ts';

/**
 * Describes the processes that listen on the path of a listener that could not be opened, or on its port at any
 * address.
 * @param hasJournal whether this start would have taken over the children of an earlier supervisor
 * @returns a sentence; null if no such process is visible, or if the error is not EADDRINUSE
 */
export async function holdersText({ cause }: Error, hasJournal: boolean): Promise<string | null> {
	if (!(cause instanceof ListenError) || (cause.cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') return null;
	const { network, address: wanted } = cause;
	const isUnix = network === 'unix';
	const port = wanted.slice(wanted.lastIndexOf(':'));
	const addresses = new Map<number, string>();
	try {
		for await (const part of isUnix ? listeningUnix() : listeningTcp())
			for (const { inode, address } of part)
				if (isUnix ? address === wanted : address.endsWith(port)) addresses.set(inode, address);
	} catch {
		return null;
	}
	const holders = allPids().filter((pid) => (fdsAmong(pid, new Set(addresses.keys())) ?? []).length > 0);
	if (addresses.size === 0 || holders.length === 0) return null;
	const names = holders.map((pid) => `${pid} (${nameOf(pid)})`);
	const text = `${listOf([...new Set(addresses.values())])} ${addresses.size === 1 ? 'is' : 'are'} held by ${listOf(names)}`;
	const left = hasJournal ? [] : await childrenAmong(holders);
	if (left.length === 0) return text;
	// A child that has forked is the parent of one that is left, and no supervisor.
	const parents = left.flatMap((pid) => lookUp(pid)?.parent ?? []);
	const living = holders.find((pid) => parents.includes(pid) && !left.includes(pid));
	if (living !== undefined)
		return `${text}; ${living} is a supervisor that runs: socketmaster status shows it, socketmaster stop ends it`;
	const what = left.length === 1 ? 'a child' : 'children';
	return `${text}; ${listOf(left.map(String))} ${left.length === 1 ? 'is' : 'are'} ${what} of an earlier supervisor: start with -journal=PATH to take over what serves`;
}

/** Those that an earlier supervisor has started. */
async function childrenAmong(pids: number[]): Promise<number[]> {
	const found: number[] = [];
	for (const pid of pids) {
		const environment = (await environmentOf(pid)) ?? [];
		if (environment.some((entry) => entry.startsWith('SOCKETMASTER_RUN='))) found.push(pid);
	}
	return found;
}

function nameOf(pid: number): string {
	try {
		return harmless(readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
	} catch {
		return 'it has ended';
	}
}
