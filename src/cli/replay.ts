/** `socketmaster replay PATH`: the story that a journal tells. */
import { closeSync, existsSync, openSync, readSync, statSync, watch, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import sade from 'sade';
import { type Checkpoint, type FactLine, readLine } from '../effects/journalFormat.ts';
import { createReplay, type Step } from '../machines/replay.ts';
import type { Command } from '../machines/world.ts';

interface ReplayOptions {
	path: string;
	until?: string;
	json: boolean;
	follow: boolean;
}

/** Reads the words after `replay`, prints the story and sets the exit status. */
export async function runReplay(words: string[], version: string): Promise<void> {
	let asked: ReplayOptions | undefined;
	sade('socketmaster')
		.version(version)
		.command('replay <path>')
		.describe('Sends the facts of a journal through the statecharts and prints what happened.')
		.option('--until', 'Stop after this fact: a number, or a time as 2026-11-22T13:30:00Z')
		.option('--json', 'One JSON object a fact', false)
		.option('--follow', 'Go on as the journal grows', false)
		.action((path, { until, json, follow }) => {
			asked = { path: String(path), until, json: json === true, follow: follow === true };
		})
		// Flags may be written with one dash here too.
		.parse(['', '', 'replay', ...words.map((word) => word.replace(/^-(?=[a-z]{2})/, '--'))], {
			boolean: ['json', 'follow'],
			string: ['until', '_'],
			unknown: (flag: string) => `flag provided but not defined: ${flag}`,
		});
	if (!asked) return;
	const problem = isLimit(asked.until)
		? await tellStory(asked)
		: `invalid value "${asked.until}" for -until: no number and no time`;
	if (problem === null) return;
	process.stderr.write(`${problem}\n`);
	process.exitCode = 1;
}

function isLimit(until: string | undefined): boolean {
	return until === undefined || /^\d+$/.test(until) || !Number.isNaN(Date.parse(until));
}

/** @returns what went wrong, or null */
async function tellStory({ path, until, json, follow }: ReplayOptions): Promise<string | null> {
	const replay = createReplay();
	const out = newOutput();
	let number = 0;
	try {
		for await (const raw of linesOf(path, follow, out.flush)) {
			number += 1;
			const line = readLine(raw, number);
			if (typeof line === 'string') return `${path}: ${line}; the story ends here`;
			if ('journal' in line) continue;
			if (isBeyond(line, until)) break;
			if (hasOtherState(line, replay.state())) {
				return `${path}: fact ${line.seq} was met in state "${line.from}", the replay is in state "${replay.state()}"`;
			}
			const step = 'checkpoint' in line ? replay.restore(line.checkpoint, line.seq, line.at) : replay.tell(line);
			out.print(json ? asJson(line, step) : asText(line, step));
		}
		return null;
	} catch (error) {
		return `${path}: ${(error as Error).message.replace(/^E[A-Z]+: /, '').replace(/, \w+( '.*')?$/, '')}`;
	} finally {
		out.flush();
	}
}

/** At the first fact of a life there is no state yet to compare with. */
function hasOtherState(line: Checkpoint | FactLine, state: string): line is FactLine {
	if ('checkpoint' in line || line.from === undefined) return false;
	return line.type !== 'supervisor.started' && line.type !== 'supervisor.recovered' && line.from !== state;
}

function isBeyond({ seq, at }: Checkpoint | FactLine, until: string | undefined): boolean {
	if (until === undefined) return false;
	return /^\d+$/.test(until) ? seq > Number(until) : at > Date.parse(until);
}

function asJson(line: Checkpoint | FactLine, step: Step): string {
	return JSON.stringify({ ...line, ...step });
}

function asText(line: Checkpoint | FactLine, { before, after, decided }: Step): string {
	const { seq, at } = line;
	const what = 'checkpoint' in line ? `checkpoint${line.gap ? ' (facts are missing before it)' : ''}` : factText(line);
	const [from] = before.split(' ');
	const [to, ...children] = after.split(' ');
	const way = from === to || from === '' ? to : `${from} -> ${to}`;
	const head = `${new Date(at).toISOString()} ${String(seq).padStart(6)}  ${what.padEnd(44)} ${way}  ${children.join(' ')}`;
	return [head.trimEnd(), ...decided.map((command) => `${' '.repeat(33)}=> ${commandText(command)}`)].join('\n');
}

function factText({ type, seq: _seq, at: _at, from: _from, ...fields }: FactLine): string {
	const plain = Object.entries(fields).filter(([, value]) => value !== null && typeof value !== 'object');
	return [type, ...plain.map(([key, value]) => `${key}=${value}`)].join(' ');
}

function commandText(command: Command): string {
	switch (command.type) {
		case 'spawn':
			return `spawn child ${command.child} of generation ${command.generation}`;
		case 'adopt':
			return `adopt ${command.pid} as child ${command.child} of generation ${command.generation}`;
		case 'signal':
			return `send SIG${command.signal} to child ${command.child} (${command.reason})`;
		case 'wait':
			return `wait for the ${command.timer} of child ${command.child} until ${new Date(command.until).toISOString()}`;
		case 'report':
			return `say "${command.text}"`;
		default:
			return command.type;
	}
}

/** Prints in large pieces; a reader that has gone away ends the story. */
function newOutput() {
	let text = '';
	function flush() {
		for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(1, rest));
		text = '';
	}
	function print(line: string) {
		text += `${line}\n`;
		if (text.length > 65536) flush();
	}
	return { print, flush };
}

/**
 * The whole lines of a file; with `follow`, also those that are still to come, and those of the file that
 * takes its place. `pause` is called before each wait. A torn last line is left out.
 */
async function* linesOf(path: string, follow: boolean, pause: () => void): AsyncGenerator<string> {
	const buffer = Buffer.alloc(65536);
	const changes = follow ? watchFile(path) : null;
	let fd = openSync(path, 'r');
	let decoder = new StringDecoder('utf8');
	let rest = '';
	for (;;) {
		const length = readSync(fd, buffer, 0, buffer.length, null);
		if (length > 0) {
			const lines = (rest + decoder.write(buffer.subarray(0, length))).split('\n');
			rest = lines.pop() ?? '';
			yield* lines;
			continue;
		}
		if (!changes) return;
		pause();
		await changes.next();
		if (!existsSync(path) || isSameFile(fd, path)) continue;
		closeSync(fd);
		fd = openSync(path, 'r');
		decoder = new StringDecoder('utf8');
		rest = '';
	}
}

function isSameFile(fd: number, path: string): boolean {
	return statSync(path).ino === statSync(`/proc/self/fd/${fd}`).ino;
}

/** Resolves for each change in the file's directory, by inotify. */
function watchFile(path: string) {
	let changed = () => {};
	let hasChanged = false;
	watch(dirname(path), () => {
		hasChanged = true;
		changed();
	});
	return {
		next: () =>
			new Promise<void>((resolve) => {
				changed = resolve;
				if (hasChanged) resolve();
				hasChanged = false;
			}),
	};
}
