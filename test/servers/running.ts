/** What the tests of servers share: load, processes, lines of the log. */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished } from 'vitest';
import { environment, type Program, root } from '../support/program.ts';
import type { AcceptingRecipe } from './recipes.ts';

/** Where socketmaster and the servers are found. */
export const path = `${join(root, 'bin')}:${process.env.PATH}:/usr/sbin`;

export const isInstalled = ({ needs }: AcceptingRecipe) =>
	spawnSync('sh', ['-c', needs.command], { env: environment({ PATH: path }) }).status === 0;

/** Awaits a line of the log, and says what the log says where it does not come. */
export function seen(program: Program, pattern: RegExp): Promise<RegExpMatchArray> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => {
			const end = program
				.lines()
				.filter((line) => !line.includes('"GET /'))
				.slice(-60);
			reject(new Error(`no line ${pattern} within 20 s; the log ends with:\n${end.join('\n')}`));
		}, 20_000);
		program
			.logged(pattern)
			.then(resolve, reject)
			.finally(() => clearTimeout(timer));
	});
}

interface Result {
	requests: number;
	failures: string[];
	/** Requests on connections that were closed before an answer began, and that were made once more. */
	closed: { kept: number; new: number };
}

/** Clients that ask from now on. */
export function startLoad(address: string) {
	const child = spawn(process.execPath, [join(import.meta.dirname, 'load.mjs'), address], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	onTestFinished(() => void child.kill());
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	const next = async () => (await lines.next()).value ?? '';
	return {
		/** Resolves when a version has answered; each of them is to be awaited, in their order. */
		async answered(word: string): Promise<void> {
			expect(await next()).toBe(word);
		},
		async finish(): Promise<Result> {
			child.stdin.end();
			return JSON.parse(await next());
		},
	};
}

/** Whoever works in a folder: a server and all that it has started, also what has left its family. */
export function processesIn(folder: string, supervisor: Program): number[] {
	const pids = readdirSync('/proc').map(Number).filter(Boolean);
	return pids.filter((pid) => pid !== supervisor.pid && folderOf(pid) === folder);
}

function folderOf(pid: number): string {
	try {
		return readlinkSync(`/proc/${pid}/cwd`);
	} catch {
		return '';
	}
}

/** A port that was free a moment ago: some servers have theirs in their configuration. */
export function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = createServer().on('error', reject);
		server.listen(0, '127.0.0.1', () => {
			const address = server.address();
			server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
		});
	});
}
