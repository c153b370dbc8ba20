/** Which supervisor is meant. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { harmless } from '../terminal/words.ts';
import { askStatus } from './answers.ts';
import { NoAnswer } from './client.ts';
import type { Status } from './status.ts';

/** How long one that is looked for may take to answer, in milliseconds. */
const patience = 1000;

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
	const places = folders(env).map((each) => `${each}/*/control`);
	throw new NoAnswer(`no supervisor answers at ${places.join(' or ')}`);
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
		return { path, status: await askStatus(path, { limit: patience }) };
	} catch {
		return null;
	}
}
