/** Finds the supervisor that a client command addresses. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { inTime, isLate, look } from '../os/boundedReads.ts';
import { allPids } from '../os/proc.ts';
import { harmless } from '../terminal/format.ts';
import { askStatus } from './answers.ts';
import { NoAnswer } from './client.ts';
import type { Status } from './statusReport.ts';

/** Limit for the response of a probed supervisor, in milliseconds. */
const answerTimeoutMs = 1000;

interface Found {
	path: string;
	status: Status;
}

/** Several supervisors respond. The message lists them. */
export class Several extends Error {
	constructor(found: Found[]) {
		const lines = found.map(({ path, status }) => `  ${path}  pid ${status.pid}, ${harmless(status.state)}`);
		super(`several supervisors answer; say which one by -control=PATH:\n${lines.join('\n')}`);
	}
}

/**
 * Returns the path of the control socket: given by the flag or the variable, as a path or a name; else the path of
 * the only supervisor that responds.
 * @throws {NoAnswer} if there is no supervisor
 * @throws {Several} if several supervisors respond
 */
export async function findControl(named: string | undefined, env: NodeJS.ProcessEnv): Promise<string> {
	const given = named || env.SOCKETMASTER_CONTROL;
	if (given) return pathOf(given, env);
	const found = (await Promise.all(controlPaths(env).map(probe))).filter((each) => each !== null);
	const [only, ...others] = found;
	if (others.length > 0) throw new Several(found);
	if (only) return only.path;
	const patterns = folders(env).map((each) => `${each}/*/control`);
	throw new NoAnswer(`no supervisor answers at ${patterns.join(' or ')}${await supervisorsText()}`);
}

/** Limit for the supervisors listed in the message. */
const mostNamed = 5;

/**
 * Describes the running supervisors of this user: their -control path, or that they have none. Empty if there is no
 * supervisor.
 */
async function supervisorsText(): Promise<string> {
	const own = process.geteuid?.();
	const found: { pid: number; args: string[] }[] = [];
	for (const pid of allPids()) {
		const args = isOf(pid, own) ? await supervisorArguments(pid) : null;
		if (args !== null) found.push({ pid, args });
	}
	const sentences = found.slice(0, mostNamed).map(({ pid, args }) => {
		const control = flagIn(args, 'control');
		if (control === null) return `supervisor ${pid} runs without -control=PATH: it takes signals alone`;
		return `supervisor ${pid} was started with -control=${harmless(control)}`;
	});
	const more = found.length > mostNamed ? [`${found.length - mostNamed} more run`] : [];
	return [...sentences, ...more].map((text) => `; ${text}`).join('');
}

/** Root may address every supervisor. */
function isOf(pid: number, user: number | undefined): boolean {
	if (user === 0) return true;
	try {
		return statSync(`/proc/${pid}`).uid === user;
	} catch {
		return false;
	}
}

/** The arguments after the program's name, if the command line is a supervisor's; else null. */
async function supervisorArguments(pid: number): Promise<string[] | null> {
	try {
		const text = await inTime(String(pid), look, () => readFile(`/proc/${pid}/cmdline`, 'utf8'));
		if (isLate(text)) return null;
		const args = text.split('\0');
		const at = args.findIndex((arg) => basename(arg) === 'socketmaster');
		// An interpreter and its flags may precede the name: a shell, or Node.
		const isProgram = at === 0 || (at > 0 && args.slice(1, at).every((arg) => arg.startsWith('-')));
		return isProgram && args[at + 1]?.startsWith('-') ? args.slice(at + 1) : null;
	} catch {
		return null;
	}
}

function flagIn(args: string[], name: string): string | null {
	const at = args.findIndex((arg) => new RegExp(`^--?${name}(=|$)`).test(arg));
	const arg = args[at];
	if (arg === undefined) return null;
	return arg.includes('=') ? arg.slice(arg.indexOf('=') + 1) : (args[at + 1] ?? null);
}

function pathOf(given: string, env: NodeJS.ProcessEnv): string {
	if (given.includes('/')) return given;
	const paths = folders(env).map((folder) => join(folder, given, 'control'));
	// The supervisor's own -control is a path: a name without a slash is a socket where it was started.
	return paths.find(existsSync) ?? (existsSync(given) ? given : (paths[0] ?? given));
}

function folders({ XDG_RUNTIME_DIR }: NodeJS.ProcessEnv): string[] {
	return XDG_RUNTIME_DIR && XDG_RUNTIME_DIR !== '/run' ? ['/run', XDG_RUNTIME_DIR] : ['/run'];
}

function controlPaths(env: NodeJS.ProcessEnv): string[] {
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

/** A socket found by search must belong to this user or to root. */
function isTrusted(path: string): boolean {
	try {
		const stat = statSync(path);
		return stat.isSocket() && [0, process.geteuid?.()].includes(stat.uid);
	} catch {
		return false;
	}
}

/** Returns null if no supervisor responds: another program may have a socket of that name. */
async function probe(path: string): Promise<Found | null> {
	try {
		return { path, status: await askStatus(path, { limit: answerTimeoutMs }) };
	} catch {
		return null;
	}
}
