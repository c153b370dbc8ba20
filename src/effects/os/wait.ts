/** Reaps child processes with waitpid(2). */
import { Observable } from 'rxjs';
import { constants, libc } from './libc.ts';

export interface Exit {
	pid: number;
	/** The exit code; null if a signal ended the process. */
	code: number | null;
	/** libc's description of the signal, as in `killed`, with ` (core dumped)` appended after a core dump; else null. */
	signal: string | null;
	/** The status as a shell reports it: the exit code, or 128 plus the signal number. */
	status: number;
}

/**
 * Emits every reaped process, including adopted orphans, while subscribed. The first reap, on subscription, covers
 * processes that exited before. A further reap follows each SIGCHLD, which can stand for several exits.
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

/** Reaps every exited child process, including adopted orphans. Never blocks. */
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
	const description = text.charAt(0).toLowerCase() + text.slice(1);
	return {
		pid,
		code: null,
		signal: status & 0x80 ? `${description} (core dumped)` : description,
		status: 128 + signal,
	};
}
