/** The line of the einhorn ready protocol (an ack), by which a child reports that it is ready. */
import { literal, number, object, pipe, safeInteger, safeParse } from 'valibot';

const ackSchema = () => object({ command: literal('worker:ack'), pid: pipe(number(), safeInteger()) });

/**
 * The pid in `{"command":"worker:ack","pid":N}`, or in the same message as YAML with % as %25 and newline as %0A, as
 * einhorn's own client writes it. Null for any other line.
 */
export function readAck(line: string): number | null {
	// A client that uses C's sizeof also sends the terminating NUL.
	const text = line.replace(/\0$/, '').replaceAll('%0A', '\n').replaceAll('%25', '%').trim();
	try {
		const { success, output } = safeParse(ackSchema(), JSON.parse(text));
		return success ? output.pid : null;
	} catch {
		const isAck = /^:?["']?command["']?:\s*["']?worker:ack["']?\s*$/m.test(text);
		const [, pid] = /^:?["']?pid["']?:\s*(\d{1,10})\s*$/m.exec(text) ?? [];
		return isAck && pid !== undefined ? Number(pid) : null;
	}
}
