/** `socketmaster replay PATH`: replays a journal and prints its facts or its rotations. */

import { storyOf } from '../../effects/journal/journalFacts.ts';
import type { Checkpoint } from '../../effects/journal/lineSchemas.ts';
import { projectionsOf } from '../../effects/journal/lineSchemas.ts';
import { printer } from '../../effects/log/printer.ts';
import { errorText } from '../../effects/os/errorText.ts';
import { harmless } from '../../effects/terminal/format.ts';
import type { Command } from '../../machines/charts/world.ts';
import type { Fact } from '../../machines/facts/facts.ts';
import { isDecision } from '../../machines/facts/stamp.ts';
import { createReplay, type Step } from '../../machines/simulation/replay.ts';
import { evolve } from '../../machines/state/evolve.ts';
import { evolveProjections, noProjections } from '../../machines/state/projections.ts';
import { finishedBetween, type Rotation } from '../../machines/state/rotations.ts';
import type { SupervisorState } from '../../machines/state/supervisorState.ts';
import { duration } from '../../machines/text/duration.ts';
import { sentenceOf } from '../../machines/text/sentences.ts';
import { readCommand } from '../command.ts';

interface ReplayOptions {
	path: string;
	until?: string;
	json: boolean;
	follow: boolean;
	rotations: boolean;
}

/** Runs the command and sets the exit status. @param words the command line from `replay` on */
export async function runReplay(words: string[], version: string): Promise<void> {
	let options: ReplayOptions | undefined;
	const wrong = readCommand(words, version, ({ _: [path = ''], until, json, follow, rotations }) => {
		options = {
			path,
			...(until === undefined ? {} : { until: String(until) }),
			json: json === true,
			follow: follow === true,
			rotations: rotations === true,
		};
	});
	if (wrong !== null) return usageError(wrong);
	if (!options) return;
	const isUsage = !isLimit(options.until);
	const problem = isUsage
		? `invalid value "${options.until}" for -until: no number and no time`
		: await (options.rotations ? sendRotations : sendTimeline)(options);
	if (problem === null) return;
	process.stderr.write(`${problem}\n`);
	process.exitCode = isUsage ? 2 : 1;
}

function usageError(sentence: string) {
	process.stderr.write(`${sentence}\n`);
	process.exitCode = 2;
}

function isLimit(until: string | undefined): boolean {
	return until === undefined || /^\d+$/.test(until) || !Number.isNaN(timeIn(until));
}

/** Prints each fact with its effects. @returns an error message, or null */
async function sendTimeline({ path, until, json, follow }: ReplayOptions): Promise<string | null> {
	const replay = createReplay();
	const out = printer(1);
	let supervisorState: SupervisorState | null = null;
	try {
		for await (const lines of storyOf(path, follow)) {
			if (lines.length === 0) out.flush();
			for (const line of lines) {
				if (isBeyond(line, until)) return null;
				const step = 'checkpoint' in line ? replay.restore(line.checkpoint, line.seq, line.at) : replay.tell(line);
				if (step.difference) return `${path}: ${step.difference}`;
				const says = 'checkpoint' in line ? null : sentenceOf(line, supervisorState, null);
				supervisorState = 'checkpoint' in line ? line.checkpoint : evolve(supervisorState, line);
				const { upon: _, ...shown } = step;
				out.print(
					`${json ? JSON.stringify({ ...line, ...shown, says: says?.text ?? null }) : asText(line, step, says?.text)}\n`,
				);
			}
		}
		return null;
	} catch (error) {
		return `${path}: ${errorText(error)}`;
	} finally {
		out.flush();
	}
}

/** Prints each rotation when it has a result, and pending ones last. @returns an error message, or null */
async function sendRotations({ path, until, json, follow }: ReplayOptions): Promise<string | null> {
	const out = printer(1);
	const print = (rotation: Rotation) => out.print(`${json ? JSON.stringify(rotation) : rotationText(rotation)}\n`);
	let past = noProjections;
	try {
		for await (const lines of storyOf(path, follow)) {
			if (lines.length === 0) out.flush();
			const end = lines.findIndex((line) => isBeyond(line, until));
			for (const line of end < 0 ? lines : lines.slice(0, end)) {
				const before = past.rotations;
				past = 'checkpoint' in line ? projectionsOf(line) : evolveProjections(past, line);
				finishedBetween(before, past.rotations).forEach(print);
			}
			if (end >= 0) break;
		}
		past.rotations.kept.filter(({ result }) => result === 'pending').forEach(print);
		return null;
	} catch (error) {
		return `${path}: ${errorText(error)}`;
	} finally {
		out.flush();
	}
}

const results = { pending: 'has no result yet', promoted: 'came up', failed: 'failed', stopped: 'was stopped' };

function rotationText({ generation, trigger, requestedAt, spawnedAt, finishedAt, result, reason }: Rotation): string {
	const took = spawnedAt !== null && finishedAt !== null ? ` after ${duration(finishedAt - spawnedAt)}` : '';
	const why = reason === null ? '' : `: ${harmless(reason)}`;
	const when = requestedAt === null ? '-'.padEnd(29) : localTime(requestedAt);
	return `${when}  ${trigger.padEnd(6)}  generation ${generation} ${results[result]}${took}${why}`;
}

/** Milliseconds since 1970; NaN if it is no time. A date is its beginning in local time, like a time without an offset. */
function timeIn(text: string): number {
	return Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text);
}

function isBeyond({ seq, at }: Checkpoint | Fact, until: string | undefined): boolean {
	if (until === undefined) return false;
	return /^\d+$/.test(until) ? seq > Number(until) : at > timeIn(until);
}

function asText(line: Checkpoint | Fact, { before, after, commands }: Step, says: string | undefined): string {
	const { seq, at } = line;
	const head = `${localTime(at)} ${String(seq).padStart(6)}  `;
	const then = [...(says === undefined ? [] : [`say "${says}"`]), ...commands.map(commandText)];
	const rest = then.map((text) => `\n${' '.repeat(33)}=> ${text}`).join('');
	if (!('checkpoint' in line) && isDecision(line)) return `${head}  decided ${factText(line)}${rest}`;
	const what = 'checkpoint' in line ? `checkpoint${line.gap ? ' (facts are missing before it)' : ''}` : factText(line);
	const [from] = before.split(' ');
	const [to, ...children] = after.split(' ');
	const way = from === to || from === '' ? to : `${from} -> ${to}`;
	return `${head}${what.padEnd(44)} ${way}  ${children.join(' ')}`.trimEnd() + rest;
}

/** The local time as in the log, with the offset from UTC: `2026-11-23T14:01:02.003+01:00`. */
function localTime(at: number): string {
	const minute = Math.floor(at / 60_000);
	if (minute !== timeOfMinute.minute) timeOfMinute = formatMinute(minute);
	const millis = String(at - minute * 60_000).padStart(5, '0');
	return `${timeOfMinute.head}${millis.slice(0, -3)}.${millis.slice(-3)}${timeOfMinute.zone}`;
}

/** The parts of a time that all times of one minute share: an offset changes between two minutes. */
let timeOfMinute = { minute: Number.NaN, head: '', zone: '' };

function formatMinute(minute: number): typeof timeOfMinute {
	const offset = -new Date(minute * 60_000).getTimezoneOffset();
	const two = (number: number) => String(Math.floor(Math.abs(number))).padStart(2, '0');
	const zone = `${offset < 0 ? '-' : '+'}${two(offset / 60)}:${two(offset % 60)}`;
	const head = new Date((minute + offset) * 60_000).toISOString().slice(0, -'00.000Z'.length);
	return { minute, head, zone };
}

function factText(fact: Fact): string {
	let text: string = fact.type;
	for (const [key, value] of Object.entries(fact)) {
		if (unprinted.has(key) || value === null) continue;
		if (typeof value === 'object' && !(Array.isArray(value) && value.length > 0)) continue;
		text += ` ${key}=${typeof value === 'number' ? value : harmless(valueText(value))}`;
	}
	return text;
}

function valueText(value: unknown): string {
	const isPlain = !Array.isArray(value) || value.every((each) => typeof each !== 'object');
	return isPlain ? String(value) : JSON.stringify(value);
}

/** Fields that the line shows elsewhere, or that are not shown. */
const unprinted = new Set(['type', 'seq', 'at', 'clock', 'cause']);

function commandText(command: Command): string {
	switch (command.type) {
		case 'spawn':
			return `spawn child ${command.child} of generation ${command.generation}`;
		case 'adopt':
			return `adopt ${command.pid} as child ${command.child} of generation ${command.generation}`;
		case 'signal':
			return `send SIG${command.signal} to child ${command.child}`;
		case 'wait':
			if (command.timer === 'bake') return `wait ${command.millis} ms until the bake ends`;
			if (command.timer === 'restart') return `wait ${command.millis} ms before a new generation is started`;
			return command.timer === 'respawn'
				? `wait ${command.millis} ms before place ${command.index} of generation ${command.generation} is filled`
				: `wait ${command.millis} ms for the ${command.timer} of child ${command.child}`;
		case 'request':
			return `check the health of generation ${command.generation}`;
		case 'check':
			return `look whether child ${command.child} accepts, for ${command.purpose}`;
		default:
			return command.type;
	}
}
