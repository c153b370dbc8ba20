/** The commands that ask a supervisor, and its control socket itself. */
import { spawn } from 'node:child_process';
import { request } from 'node:http';
import { onTestFinished } from 'vitest';
import { environment, executable, isRoot } from './program.ts';

export interface Done {
	status: number | null;
	stdout: string;
	stderr: string;
}

/** Runs `socketmaster COMMAND ...` to its end. */
export function command(args: string[], env: Record<string, string> = {}) {
	// One that names no supervisor looks for it under /run: it must not find those of this machine.
	const isLooking = isRoot && !args.some((arg) => arg.startsWith('-control='));
	const alone = ['--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$0" "$@"', executable];
	const [program, words] = isLooking ? ['unshare', [...alone, ...args]] : [executable, args];
	const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], env: environment(env) });
	onTestFinished(() => void child.kill('SIGKILL'));
	const text = { stdout: '', stderr: '' };
	const watchers = new Set<() => void>();
	for (const name of ['stdout', 'stderr'] as const) {
		child[name].setEncoding('utf8').on('data', (chunk) => {
			text[name] += chunk;
			for (const watch of watchers) watch();
		});
	}
	const done = new Promise<Done>((resolve) => child.on('close', (status) => resolve({ status, ...text })));
	/** Resolves as soon as it has printed that. */
	const printed = (pattern: RegExp) =>
		new Promise<void>((resolve) => {
			const watch = () => {
				if (pattern.test(text.stdout)) resolve();
			};
			watchers.add(watch);
			watch();
		});
	return { child, done, printed };
}

/** JSON, of which a test knows what is in it. */
// biome-ignore lint/suspicious/noExplicitAny: that is what it looks at
export type Row = any;

export interface Answer {
	status: number;
	body: Row;
	headers: NodeJS.Dict<string | string[]>;
}

/** One request to a control socket. */
export function ask(socketPath: string, path: string, { method = 'GET', body = '' } = {}): Promise<Answer> {
	return new Promise((resolve, reject) => {
		const asked = request({ socketPath, path, method, agent: false }, (response) => {
			let text = '';
			response.setEncoding('utf8').on('data', (chunk) => {
				text += chunk;
			});
			response.on('end', () => {
				let parsed: unknown = text;
				try {
					parsed = JSON.parse(text);
				} catch {
					// It is text.
				}
				resolve({ status: response.statusCode ?? 0, body: parsed, headers: response.headers });
			});
		});
		asked.on('error', reject);
		asked.end(body);
	});
}
