/** Messages from this process to its supervisor. Node has no UNIX datagram sockets, so they go over a stream socket. */
import { connect } from 'node:net';

/** How long the supervisor may take to accept a message, in milliseconds. */
const acceptTimeoutMs = 5000;

/**
 * Sends lines in the format of sd_notify(3), such as `READY=1`. A supervisor that does not know the format
 * (einhorn) gets an ack instead of `READY=1`, and nothing else.
 * @returns whether the message was sent: false without a supervisor, or if it does not answer
 */
export function report(lines: string, env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
	const { EINHORN_SOCK_PATH = '', SOCKETMASTER_CHILD = '' } = env;
	const line =
		SOCKETMASTER_CHILD !== ''
			? { command: 'socketmaster:notify', child: Number(SOCKETMASTER_CHILD), message: lines }
			: lines.split('\n').includes('READY=1')
				? { command: 'worker:ack', pid: process.pid }
				: null;
	if (EINHORN_SOCK_PATH === '' || line === null) return Promise.resolve(false);
	return new Promise((resolve) => {
		const socket = connect(EINHORN_SOCK_PATH);
		// A message never keeps the process alive, and never ends it.
		socket.unref();
		let isTaken = false;
		socket.setTimeout(acceptTimeoutMs, () => socket.destroy());
		socket.on('error', () => {});
		// The supervisor closes the connection after it has read the line.
		socket.on('end', () => {
			isTaken = true;
		});
		socket.on('close', () => resolve(isTaken));
		socket.end(`${JSON.stringify(line)}\n`);
		socket.resume();
	});
}
