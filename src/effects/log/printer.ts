/** Prints to an fd in large pieces, with blocking writes. */
import { writeSync } from 'node:fs';
import { errorText } from '../os/errorText.ts';

/** The exit status that a shell reports for a process that SIGPIPE has ended (128 + 13). */
const sigpipeStatus = 141;

export function printer(fd: number) {
	let text = '';

	function flush() {
		try {
			for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
			text = '';
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(sigpipeStatus);
			process.stderr.write(`what was asked for could not be written: ${errorText(error)}\n`);
			process.exit(1);
		}
	}

	function print(more: string) {
		text += more;
		if (text.length > 65536) flush();
	}

	return { print, flush };
}
