/** Which supervisor is meant. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { inTime, isLate, look } from '../os/boundedReads.ts';
import { allPids } from '../os/proc.ts';
import { harmless } from '../terminal/format.ts';
import { askStatus } from './answers.ts';
import { NoAnswer } from './client.ts';
import type { Status } from './statusReport.ts';

/** How long one that is looked for may take to answer, in milliseconds. */
const answerTimeoutMs = 1000;

interface Found {
	path: string;
	status: Status;
}

/** Several supervisors answer: the message lists them. */
export class Several extends Error {
	constructor(found: Found[]) {
		const lines = found.map(({ path, status }) => `  ${path}  pid ${status.pid}, ${harmless(status.state)}`);
		super(`several supervisors answer; say which one by -control=PATH:\n${lines.join('\n')}`);
	}
}

/**
 * The path of the control socket that is meant: by the flag's or the variable's path or name; else the one that answers.
 * @throws {NoAnswer} where there is none
 * @throws {Several} where there are more
 */
export async function findControl(named: string | undefined, env: NodeJS.ProcessEnv): Promise<string> {
	const given = named || env.SOCKETMASTER_CONTROL;
	if (given) return pathOf(given, env);
	const found = (await Promise.all(candidates(env).map(probe))).filter((each) => each !== null);
	const [only, ...others] = found;
	if (others.length > 0) throw new Several(found);
	if (only) return only.path;
	const slots = folders(env).map((each) => `${each}/*/control`);
	throw new NoAnswer(`no supervisor answers at ${slots.join(' or ')}${await supervisorsText()}`);
}

/** So many supervisors are named. */
const mostNamed = 5;

/** Those of ours that run all the same: where they can be asked, or that they can't. Empty where there is none. */
async function supervisorsText(): Promise<string> {
	const own = process.geteuid?.();
	const found: { pid: number; words: string[] }[] = [];
	for (const pid of allPids()) {
		const words = isOf(pid, own) ? await supervisorArguments(pid) : null;
		if (words !== null) found.push({ pid, words });
	}
	const sentences = found.slice(0, mostNamed).map(({ pid, words }) => {
		const control = flagIn(words, 'control');
		if (control === null) return `supervisor ${pid} runs without -control=PATH: it takes signals alone`;
		return `supervisor ${pid} was started with -control=${harmless(control)}`;
	});
	const more = found.length > mostNamed ? [`${found.length - mostNamed} more run`] : [];
	return [...sentences, ...more].map((text) => `; ${text}`).join('');
}

/** Root may ask all. */
function isOf(pid: number, user: number | undefined): boolean {
	if (user === 0) return true;
	try {
		return statSync(`/proc/${pid}`).uid === user;
	} catch {
		return false;
	}
}

/** What follows the program's name in its command line, where that is a supervisor's. */
async function supervisorArguments(pid: number): Promise<string[] | null> {
	try {
		const text = await inTime(String(pid), look, () => readFile(`/proc/${pid}/cmdline`, 'utf8'));
		if (isLate(text)) return null;
		const words = text.split('\0');
		const at = words.findIndex((word) => basename(word) === 'socketmaster');
		// The shell's own, or Node and its flags, stand before it.
		const isProgram = at === 0 || (at > 0 && words.slice(1, at).every((word) => word.startsWith('-')));
		return isProgram && words[at + 1]?.startsWith('-') ? words.slice(at + 1) : null;
	} catch {
		return null;
	}
}

function flagIn(words: string[], name: string): string | null {
	const at = words.findIndex((word) => new RegExp(`^--?${name}(=|$)`).test(word));
	const word = words[at];
	if (word === undefined) return null;
	return word.includes('=') ? word.slice(word.indexOf('=') + 1) : (words[at + 1] ?? null);
}

function pathOf(given: string, env: NodeJS.ProcessEnv): string {
	if (given.includes('/')) return given;
	const paths = folders(env).map((folder) => join(folder, given, 'control'));
	return paths.find(existsSync) ?? paths[0] ?? given;
}

function folders({ XDG_RUNTIME_DIR }: NodeJS.ProcessEnv): string[] {
	return XDG_RUNTIME_DIR && XDG_RUNTIME_DIR !== '/run' ? ['/run', XDG_RUNTIME_DIR] : ['/run'];
}

function candidates(env: NodeJS.ProcessEnv): string[] {
	return folders(env).flatMap((folder) => {
		try {
			return readdirSync(folder)
				.map((name) => join(folder, name, 'control'))
				.filter(isTrusted);
		} catch {
			return [];
		}
	});
}

/** What is found without having been named has to be ours, or root's. */
function isTrusted(path: string): boolean {
	try {
		const stat = statSync(path);
		return stat.isSocket() && [0, process.geteuid?.()].includes(stat.uid);
	} catch {
		return false;
	}
}

/** Another program may have a socket of that name. */
async function probe(path: string): Promise<Found | null> {
	try {
		return { path, status: await askStatus(path, { limit: answerTimeoutMs }) };
	} catch {
		return null;
	}
}
