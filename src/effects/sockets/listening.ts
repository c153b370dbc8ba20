/** Sockets that listen, and are not ours: where a server listens that does not take its own. */
import { listeningTcp, listeningUnix } from './diag.ts';

/** Addresses of the sockets that listen among those of the inodes; null where the kernel does not tell. */
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
