/** Prints to an fd in large pieces, with blocking writes. */
import { writeSync } from 'node:fs';
import { errorText } from '../os/errorText.ts';

/** The exit status that a shell reports for a process that SIGPIPE has ended (128 + 13). */
const sigpipeStatus = 141;

/** The pause before a full pipe is written to again, in milliseconds. */
const retryPauseMs = 10;

export function printer(fd: number) {
	let text = '';

	function flush() {
		try {
			for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSome(rest));
			text = '';
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(sigpipeStatus);
			process.stderr.write(`what was asked for could not be written: ${errorText(error)}\n`);
			process.exit(1);
		}
	}

	/** Another process may have made the reader's pipe non-blocking (O_NONBLOCK belongs to the description). */
	function writeSome(rest: Buffer): number {
		try {
			return writeSync(fd, rest);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryPauseMs);
			return 0;
		}
	}

	function print(more: string) {
		text += more;
		if (text.length > 65536) flush();
	}

	return { print, flush };
}
