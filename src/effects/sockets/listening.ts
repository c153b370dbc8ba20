/**
 * Finds listening sockets that are not listeners of the supervisor. If a server does not use the sockets that it
 * inherits, these show where the server listens instead.
 */
import { listeningTcp, listeningUnix } from './diag.ts';

/** The addresses of the listening sockets among the inodes; null if the kernel does not report them. */
export async function listeningAmong(inodes: ReadonlySet<number>): Promise<string[] | null> {
	if (inodes.size === 0) return [];
	const found: string[] = [];
	try {
		for (const listening of [listeningTcp(), listeningUnix()]) {
			for await (const part of listening) {
				for (const { inode, address } of part) if (inodes.has(inode)) found.push(address);
			}
		}
	} catch {
		return null;
	}
	return found;
}
