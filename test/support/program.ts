/** The real program, run as a user runs it. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFailed, onTestFinished } from 'vitest';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const executable = join(root, 'bin/socketmaster');
export const fixture = (name: string) => join(root, 'test/fixtures', name);
export const isRoot = process.getuid?.() === 0;

export interface Ended {
	status: number | null;
	signal: NodeJS.Signals | null;
	stdout: string;
	stderr: string;
}

export interface Program {
	pid: number;
	process: ChildProcess;
	stderr: () => string;
	/** What was logged, without the prefix. */
	lines: () => string[];
	/** Resolves with the match as soon as a line of the log matches for the nth time. */
	logged: (pattern: RegExp, times?: number) => Promise<RegExpMatchArray>;
	signal: (name: NodeJS.Signals) => void;
	ended: Promise<Ended>;
}

export const prefix = /^socketmaster\[\d+\] \d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /;

/** Starts the program; it is ended with the test, with all that it started. */
export function run(args: string[], options: SpawnOptions & { command?: string } = {}): Program {
	const { command = executable, ...rest } = options;
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment(), ...rest });
	const text = { stdout: '', stderr: '' };
	const watchers = new Set<() => void>();
	for (const name of ['stdout', 'stderr'] as const) {
		child[name]?.setEncoding('latin1').on('data', (chunk: string) => {
			text[name] += chunk;
			for (const watch of watchers) watch();
		});
	}
	const ended = new Promise<Ended>((resolve, reject) => {
		child.on('error', reject);
		child.on('close', (status, signal) => {
			for (const watch of watchers) watch();
			resolve({ status, signal, ...text });
		});
	});
	ended.catch(() => {});
	const lines = () =>
		text.stderr
			.split('\n')
			.slice(0, -1)
			.map((line) => line.replace(prefix, ''));
	onTestFailed(() => console.error(`${command} ${args.join(' ')}\n${text.stderr}`));
	onTestFinished(async () => {
		// Those that have printed something, and those that the supervisor has named.
		const children = [...text.stderr.matchAll(/^(?:.*? )?\[(\d+)\] |(?:is up \(|took over )([\d, ]+)/gm)].flatMap(
			([, pid, pids = '']) => [pid ?? '', ...pids.split(', ')].filter(Boolean).map(Number),
		);
		if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
		const killChildren = () => {
			for (const pid of new Set(children)) if (isChild(pid)) for (const each of [-pid, pid]) kill(each, 'SIGKILL');
		};
		const late = setTimeout(() => {
			killChildren();
			child.kill('SIGKILL');
		}, 3000);
		await ended.catch(() => {});
		clearTimeout(late);
		// A supervisor that was killed leaves its children, and some tests kill it.
		killChildren();
	});
	return {
		pid: child.pid ?? 0,
		process: child,
		stderr: () => text.stderr,
		lines,
		logged: (pattern, times = 1) =>
			new Promise((resolve, reject) => {
				const watch = () => {
					const hits = lines().filter((line) => pattern.test(line));
					if (hits.length >= times) {
						watchers.delete(watch);
						resolve((hits[times - 1] ?? '').match(pattern) as RegExpMatchArray);
					} else if (child.exitCode !== null || child.signalCode !== null) {
						reject(new Error(`it ended before ${pattern} came ${times} times; ${hits.length} so far:\n${text.stderr}`));
					}
				};
				watchers.add(watch);
				watch();
			}),
		signal: (name) => child.kill(name),
		ended,
	};
}

/** Whether a number still belongs to a child of some supervisor. */
function isChild(pid: number): boolean {
	try {
		return readFileSync(`/proc/${pid}/environ`, 'latin1').includes('SOCKETMASTER_CHILD=');
	} catch {
		return false;
	}
}

/** Ours, without what makes every Node start slowly where it is set. */
export function environment(changes: Record<string, string | undefined> = {}): NodeJS.ProcessEnv {
	return { ...process.env, NODE_EXTRA_CA_CERTS: undefined, ...changes };
}

export function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
	try {
		return process.kill(pid, signal);
	} catch {
		return false;
	}
}

/** A folder that goes with the test. */
export function scratch(): string {
	const folder = mkdtempSync(join(tmpdir(), 'socketmaster-test-'));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

/** A TCP port of the loopback that nobody has now. */
export async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address() as { port: number };
	await new Promise((resolve) => server.close(resolve));
	return port;
}
