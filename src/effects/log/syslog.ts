/** The log in syslog: libc's, off the main thread, a line at a time. */
import { closeSync } from 'node:fs';
import { call, constants, errno, libc, SyscallError } from '../os/libc.ts';
import { unixAddress } from '../sockets/address.ts';
import type { Writer } from './sink.ts';

const [LOG_PID, LOG_DAEMON, LOG_INFO] = [1, 3 << 3, 6];
const path = '/dev/log';

/** openlog(3) keeps the pointer, not the name. */
const name = Buffer.from('socketmaster\0');

/** How long to wait for a syslog daemon that went away, in milliseconds: at first, and at most. */
const waits = [50, 1000] as const;

/**
 * A writer that waits as long as there is no syslog daemon, and as long as it takes no more: in a
 * thread of the pool, never in ours. syslog(3) reports no failure, so the daemon is looked for before
 * each text.
 * @throws {SyscallError} when there is none to begin with
 */
export function syslogWriter(): Writer {
	probe();
	libc('openlog')(name, LOG_PID, LOG_DAEMON);
	return (text, done) => {
		const lines = text.split('\n').slice(0, -1);
		whenThere(waits[0], () => sendAll(lines, done));
	};
}

/** @throws {SyscallError} when nobody listens */
function probe() {
	const address = unixAddress(path);
	for (const type of [constants.SOCK_DGRAM, constants.SOCK_STREAM]) {
		const fd = call('socket', constants.AF_UNIX, type | constants.SOCK_CLOEXEC | constants.SOCK_NONBLOCK, 0);
		try {
			call('connect', fd, address, address.length);
			return;
		} catch (error) {
			const isOtherType = error instanceof SyscallError && error.errno === errno('EPROTOTYPE');
			if (!isOtherType || type === constants.SOCK_STREAM) throw error;
		} finally {
			closeSync(fd);
		}
	}
}

function whenThere(wait: number, work: () => void) {
	try {
		probe();
	} catch {
		setTimeout(whenThere, wait, Math.min(wait * 2, waits[1]), work);
		return;
	}
	work();
}

function sendAll(lines: string[], done: () => void, index = 0) {
	const line = lines[index];
	if (line === undefined) return done();
	const bytes = Buffer.from(`${line.replaceAll('\0', '\\0')}\0`, 'latin1');
	libc('syslog').async(LOG_INFO, '%s', bytes, () => sendAll(lines, done, index + 1));
}
