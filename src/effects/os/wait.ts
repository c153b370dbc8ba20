/** The ends of child processes, reaped with waitpid. */
import { Observable } from 'rxjs';
import { constants, libc } from './libc.ts';

export interface Exit {
	pid: number;
	/** The exit code; null when a signal ended the process. */
	code: number | null;
	/** libc's words for the signal, as `killed`, with ` (core dumped)` after them where so. */
	signal: string | null;
	/** What a shell would call its status: the code, or 128 plus the signal's number. */
	status: number;
}

/**
 * Every process reaped, ours and orphans alike, for as long as it is subscribed to: one sweep at the
 * start, for those who ended before, and one for each SIGCHLD, which stands for one or more of them.
 */
export function exits(): Observable<Exit> {
	return new Observable((subscriber) => {
		const sweep = () => {
			for (const exit of reap()) subscriber.next(exit);
		};
		process.on('SIGCHLD', sweep);
		sweep();
		return () => process.off('SIGCHLD', sweep);
	});
}

/** Reaps every child that has ended, also orphans that were given to us as PID 1. Never waits. */
export function* reap(): Generator<Exit> {
	const status = Buffer.alloc(4);
	for (;;) {
		const pid: number = libc('waitpid')(-1, status, constants.WNOHANG);
		if (pid <= 0) return;
		yield readStatus(pid, status.readInt32LE());
	}
}

function readStatus(pid: number, status: number): Exit {
	const signal = status & 0x7f;
	if (signal === 0) {
		const code = (status >> 8) & 0xff;
		return { pid, code, signal: null, status: code };
	}
	const text: string = libc('strsignal')(signal);
	const words = text.charAt(0).toLowerCase() + text.slice(1);
	return { pid, code: null, signal: status & 0x80 ? `${words} (core dumped)` : words, status: 128 + signal };
}
