/** Formats log lines: as text in the format of the original program, or as JSON. */
import { isUtf8 } from 'node:buffer';
import { createRequire } from 'node:module';
import { isVerdict, type LogFields } from '../../machines/text/logFields.ts';
import type { Sentence } from '../../machines/text/sentences.ts';
import type { Sink } from './sink.ts';

export interface Log {
	/** @param fields what a JSON line has beside the text */
	say: (level: Sentence['level'], text: string, fields?: LogFields) => void;
	/**
	 * A writer for the output of one child: complete lines without the final newline. Each character is one byte
	 * (latin1).
	 */
	child: (pid: number, generation: number) => (lines: string) => void;
}

/**
 * What precedes each line: the stamp of the original program, nothing (the sink adds its own stamp), or a syslog level
 * for the journal of systemd (sd-daemon(3)).
 */
export type Prefix = 'stamp' | 'none' | 'level';

const [plain, bold, faint] = [0, 1, 2].map((code) => `\u001b[${code}m`);

const syslogLevels = { info: '<6>', warn: '<4>', error: '<3>' };

/**
 * What becomes of a child's lines. `prefix`: each gets the prefix and the child's pid. `raw`: text lines stay as they
 * are; with JSON, a line that is a JSON object is nested as one.
 */
export type OutputForm = 'prefix' | 'raw';

/**
 * Text lines: the prefix (`socketmaster[PID] YYYY/MM/DD HH:MM:SS `), for the output of a child `[PID] `, and the text.
 * @param hasColours on a terminal: verdicts are bold, and the lines of children faint
 */
export function textLog(sink: Sink, prefix: Prefix, form: OutputForm = 'prefix', hasColours = false): Log {
	const stamp = prefix === 'stamp' ? newStamp() : () => (prefix === 'level' ? syslogLevels.info : '');
	const head = (level: Sentence['level']) => (prefix === 'level' ? syslogLevels[level] : stamp());
	return {
		say: (level, text, fields) => {
			const line = toBytes(onOneLine(text));
			const isBold = hasColours && fields !== undefined && isVerdict(fields);
			sink.write(`${head(level)}${isBold ? `${bold}${line}${plain}` : line}\n`);
		},
		child: (pid) => {
			if (form === 'raw') return (lines) => sink.write(`${lines}\n`);
			const mark = `[${pid}] `;
			if (hasColours)
				return (lines) => {
					for (const line of lines.split('\n')) sink.write(`${faint}${stamp()}${mark}${line}${plain}\n`, 1);
				};
			return (lines) => {
				const prefix = stamp() + mark;
				const text = lines.replaceAll('\n', `\n${prefix}`);
				// Each newline has added one prefix, so the growth gives the number of lines without another scan.
				sink.write(`${prefix}${text}\n`, 1 + (text.length - lines.length) / prefix.length);
			};
		},
	};
}

/**
 * One pino object per line: `msg` and, for the output of a child, its pid as `child` and its `generation`. A nested line
 * is the field `output` instead of `msg`, byte for byte.
 */
export function jsonLog(sink: Pick<Sink, 'write'>, form: OutputForm = 'prefix'): Log {
	// pino is loaded only with -json: a supervisor with a text log starts faster.
	const { pino } = createRequire(import.meta.url)('pino') as typeof import('pino');
	const logger = pino({ base: { pid: process.pid } }, { write: (line: string) => sink.write(toBytes(line), 1) });
	return {
		say: (level, text, fields) => (fields ? logger[level](fields, text) : logger[level](text)),
		child: (pid, generation) => {
			const own = logger.child({ child: pid, generation });
			return (lines) => {
				for (const line of lines.split('\n')) {
					if (form === 'raw' && isObject(line)) sink.write(nested(line, { pid, generation }), 1);
					else own.info(fromBytes(line));
				}
			};
		},
	};
}

/** pino's level `info`. */
const infoLevel = 30;

/** A log line with the bytes of the child's line in it: parsed numbers could lose digits. */
function nested(line: string, { pid, generation }: { pid: number; generation: number }): string {
	const head = { level: infoLevel, time: Date.now(), pid: process.pid, child: pid, generation };
	return `${JSON.stringify(head).slice(0, -1)},"output":${line.trim()}}\n`;
}

function isObject(line: string): boolean {
	if (!/^[ \t\r]*\{/.test(line) || !isUtf8(Buffer.from(line, 'latin1'))) return false;
	try {
		JSON.parse(fromBytes(line));
		return true;
	} catch {
		return false;
	}
}

/**
 * Escapes control characters: arguments, paths and texts from children must not start a new line or move the cursor.
 */
function onOneLine(text: string): string {
	return text.replace(
		// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
		/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]/g,
		(each) => (each === '\n' ? '\\n' : `\\x${each.charCodeAt(0).toString(16).padStart(2, '0')}`),
	);
}

/** The prefix of the original program, formatted once per second. */
function newStamp(): () => string {
	let second = 0;
	let text = '';
	return () => {
		const now = Math.floor(Date.now() / 1000);
		if (now !== second) {
			second = now;
			text = `socketmaster[${process.pid}] ${localTime(new Date(now * 1000))} `;
		}
		return text;
	};
}

function localTime(date: Date): string {
	const two = (number: number) => String(number).padStart(2, '0');
	const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('/');
	return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function toBytes(text: string): string {
	return Buffer.from(text, 'utf8').toString('latin1');
}

function fromBytes(text: string): string {
	return Buffer.from(text, 'latin1').toString('utf8');
}
