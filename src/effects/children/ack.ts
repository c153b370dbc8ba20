/** The line that a client of the ack socket sends: einhorn's ack, or a message in the format of sd_notify(3). */
import { literal, number, object, pipe, safeInteger, safeParse, string } from 'valibot';

/** `ack`: the process `pid` is ready. `message`: the lines of a message, for the child of this number. */
export type AckLine = { kind: 'ack'; pid: number } | { kind: 'message'; child: number; text: string };

const ackSchema = () => object({ command: literal('worker:ack'), pid: pipe(number(), safeInteger()) });

/** For programs that have no UNIX datagram sockets, as those in Node. */
const messageSchema = () =>
	object({ command: literal('socketmaster:notify'), child: pipe(number(), safeInteger()), message: string() });

/**
 * Reads `{"command":"worker:ack","pid":N}`, or the same message as YAML with % as %25 and newline as %0A, as einhorn's
 * own client writes it; and `{"command":"socketmaster:notify","child":N,"message":"STATUS=..."}`. Null for any other
 * line.
 */
export function readAckLine(line: string): AckLine | null {
	// A client that uses C's sizeof also sends the terminating NUL.
	const bare = line.replace(/\0$/, '');
	const message = messageIn(bare);
	if (message !== null) return message;
	const pid = readAck(bare.replaceAll('%0A', '\n').replaceAll('%25', '%').trim());
	return pid === null ? null : { kind: 'ack', pid };
}

function messageIn(text: string): AckLine | null {
	if (!text.includes('socketmaster:notify')) return null;
	try {
		const { success, output } = safeParse(messageSchema(), JSON.parse(text));
		return success ? { kind: 'message', child: output.child, text: output.message } : null;
	} catch {
		return null;
	}
}

function readAck(text: string): number | null {
	try {
		const { success, output } = safeParse(ackSchema(), JSON.parse(text));
		return success ? output.pid : null;
	} catch {
		const isAck = /^:?["']?command["']?:\s*["']?worker:ack["']?\s*$/m.test(text);
		const [, pid] = /^:?["']?pid["']?:\s*(\d{1,10})\s*$/m.exec(text) ?? [];
		return isAck && pid !== undefined ? Number(pid) : null;
	}
}
