/** Sends one datagram per log line to /dev/log, as syslog(3) does, but handles every send error. */
import { closeSync } from 'node:fs';
import { call, constants, onceWritable, type SyscallError } from '../os/libc.ts';
import { unixAddress } from '../sockets/address.ts';
import type { Writer } from './sink.ts';

/** Facility daemon, level info. */
const priority = (3 << 3) | 6;
const path = '/dev/log';

/** The first and the longest pause between two attempts to reconnect to the syslog daemon, in milliseconds. */
const waits = [50, 1000] as const;

interface Connection {
	fd: number;
	/** Some daemons listen on a stream socket. A NUL ends each message there. */
	isStream: boolean;
}

/**
 * A writer that waits in the event loop while the syslog daemon is absent or its socket is full. Messages that the
 * kernel has accepted and that an exiting daemon has not read are lost.
 * @throws {SyscallError} if no daemon listens at the start
 */
export function syslogWriter(): Writer {
	let connection = connect();
	return (text, done) => {
		const messages = text.split('\n').slice(0, -1).map(toMessage);

		function sendNext() {
			try {
				for (let message = messages[0]; message; message = messages[0]) {
					const rest = send(connection, message);
					if (rest.length > 0) messages[0] = rest;
					else messages.shift();
				}
			} catch (error) {
				goOnAfter(error as SyscallError);
				return;
			}
			done();
		}

		function goOnAfter({ code }: SyscallError) {
			if (code === 'EAGAIN') onceWritable(connection.fd, sendNext);
			// Memory is short: the socket stays writable.
			else if (code === 'ENOBUFS') setTimeout(sendNext, waits[0]);
			else if (code === 'EMSGSIZE') {
				messages.splice(0, 1, ...halvesOf(messages[0] as Buffer));
				sendNext();
			} else {
				closeSync(connection.fd);
				reconnect(waits[0]);
			}
		}

		function reconnect(wait: number) {
			try {
				connection = connect();
			} catch {
				setTimeout(reconnect, wait, Math.min(wait * 2, waits[1]));
				return;
			}
			sendNext();
		}

		sendNext();
	};
}

/** @throws {SyscallError} if no daemon listens */
function connect(): Connection {
	const { AF_UNIX, SOCK_DGRAM, SOCK_STREAM, SOCK_CLOEXEC, SOCK_NONBLOCK } = constants;
	const address = unixAddress(path);
	for (let type: number = SOCK_DGRAM; ; type = SOCK_STREAM) {
		const fd = call('socket', AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		try {
			call('connect', fd, address, address.length);
			return { fd, isStream: type === SOCK_STREAM };
		} catch (error) {
			closeSync(fd);
			if ((error as SyscallError).code !== 'EPROTOTYPE' || type === SOCK_STREAM) throw error;
		}
	}
}

/** @returns the bytes that were not sent. @throws {SyscallError} */
function send({ fd, isStream }: Connection, message: Buffer): Buffer {
	const bytes = isStream ? message : message.subarray(0, -1);
	const sent = call('send', fd, bytes, bytes.length, constants.MSG_NOSIGNAL);
	return isStream ? message.subarray(sent) : message.subarray(message.length);
}

/** `<30>Nov 23 13:01:02 socketmaster[123]: line`, and a NUL. */
function toMessage(line: string): Buffer {
	return Buffer.from(`${head()}${line.replaceAll('\0', '\\0')}\0`, 'latin1');
}

/** Splits a message that is too long for the kernel (EMSGSIZE) into two, each with a head. */
function halvesOf(message: Buffer): Buffer[] {
	const { length } = head();
	const middle = (message.length + length) >> 1;
	return [
		Buffer.concat([message.subarray(0, middle), Buffer.from([0])]),
		Buffer.concat([message.subarray(0, length), message.subarray(middle)]),
	];
}

function head(): string {
	const now = new Date();
	const time = now.toTimeString().slice(0, 8);
	return `<${priority}>${months[now.getMonth()]} ${String(now.getDate()).padStart(2)} ${time} socketmaster[${process.pid}]: `;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
