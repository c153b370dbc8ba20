/** Finds the processes that hold an address that is in use. */
import { readFileSync } from 'node:fs';
import { listOf } from '../os/errorText.ts';
import { allPids, fdsAmong } from '../os/proc.ts';
import { harmless } from '../terminal/format.ts';
import { listeningTcp, listeningUnix } from './diag.ts';
import { ListenError } from './listener.ts';

/**
 * Describes the processes that listen on the path of a listener that could not be opened, or on its port at any
 * address.
 * @returns a sentence; null if no such process is visible, or if the error is not EADDRINUSE
 */
export async function holdersText({ cause }: Error): Promise<string | null> {
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
	return `${listOf([...new Set(addresses.values())])} ${addresses.size === 1 ? 'is' : 'are'} held by ${listOf(names)}`;
}

function nameOf(pid: number): string {
	try {
		return harmless(readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
	} catch {
		return 'it has ended';
	}
}
