/** A named pipe by which children of any program tell that they have come to their main(). */
import { execFileSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { folder } from './support.mjs';

let count = 0;

export function openFifo() {
	count += 1;
	const path = join(folder, `fifo${count}`);
	execFileSync('mkfifo', ['-m', '666', path]);
	const socket = new Socket({
		fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK),
		readable: true,
		writable: false,
	});
	let arrived = 0;
	let waiter;
	socket.on('data', (bytes) => {
		arrived += bytes.length;
		waiter?.();
	});
	return {
		path,
		/** Resolves when this many bytes have come, with the time. */
		reached: (bytes) =>
			new Promise((resolve) => {
				waiter = () => {
					if (arrived >= bytes) resolve(performance.now());
				};
				waiter();
			}),
		close: () => socket.destroy(),
	};
}
