/** Closes what another process has sent: a socket of its may linger in close(2) for as long as it likes (socket(7)). */
import { close } from 'node:fs';

const waiting: number[] = [];
let isBusy = false;
const whenDone: (() => void)[] = [];

/** Closes fds in a thread of the pool, one at a time: so no more than one is ever held up. @param done told when all are closed */
export function closeLate(fds: number[], done: () => void = () => {}): void {
	waiting.push(...fds);
	whenDone.push(done);
	next();
}

/** Whether some are not closed yet. */
export function isClosing(): boolean {
	return isBusy;
}

function next() {
	if (isBusy) return;
	const fd = waiting.shift();
	if (fd === undefined) {
		for (const done of whenDone.splice(0)) done();
		return;
	}
	isBusy = true;
	close(fd, () => {
		isBusy = false;
		next();
	});
}
