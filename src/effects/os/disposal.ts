/**
 * Gets rid of fds that another process has sent. close(2) of a socket waits for as long as its owner has said (SO_LINGER), of
 * a file in user space for as long as its server likes (FUSE_FLUSH); nobody waits here.
 */
import { close } from 'node:fs';
import { findCommand } from './command.ts';
import { closeAll, makePipe } from './descriptors.ts';
import { fileOf } from './proc.ts';
import { spawnProcess } from './spawn.ts';

let pending = 0;

/** Whether a thread still closes some: exit(3) would wait for it. */
export function isDisposing(): boolean {
	return pending > 0;
}

/**
 * Closes at once what nobody can make us wait for.
 * @param done told when the rest is gone
 * @returns whether there was no rest; then `done` is not told
 */
export function dispose(fds: number[], done: () => void = () => {}): boolean {
	const named = fds.map((fd) => ({ fd, file: fileOf('self', fd) ?? 'pipe:' }));
	const isHarmless = ({ file }: { file: string }) => /^(pipe:|anon_inode:|\/dev\/null$)/.test(file);
	const isSocket = ({ file }: { file: string }) => file.startsWith('socket:');
	const rest = named.filter((each) => !isHarmless(each));
	closeAll(named.filter(isHarmless).map(({ fd }) => fd));
	if (rest.length === 0) return true;
	const sockets = rest.filter(isSocket).map(({ fd }) => fd);
	if (sockets.length > 0) leaveToAnother(sockets);
	const files = rest.filter((each) => !isSocket(each)).map(({ fd }) => fd);
	let left = files.length;
	pending += left;
	for (const fd of files) {
		close(fd, () => {
			pending -= 1;
			left -= 1;
			if (left === 0) done();
		});
	}
	if (files.length === 0) done();
	return false;
}

/** A process that ends closes its sockets without lingering (inet_release in the kernel): it has them until ours are closed. */
function leaveToAnother(sockets: number[]) {
	const ends: number[] = [];
	try {
		ends.push(...makePipe());
		const [read = 0, write = 0] = ends;
		spawnProcess({
			path: findCommand('cat', process.env.PATH ?? '/bin:/usr/bin'),
			args: [],
			env: {},
			fds: [read, write, write, ...sockets],
			directory: '/',
		});
	} catch {
		// Out of processes: then they are closed here, whatever that takes.
	} finally {
		closeAll([...sockets, ...ends]);
	}
}
