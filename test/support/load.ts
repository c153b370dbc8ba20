/** Clients in a process of their own. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { fixture } from './program.ts';

export interface Result {
	requests: number;
	/** What went wrong, in words; at most 20 of them. */
	failures: string[];
	/** Who answered. */
	pids: number[];
	/** Milliseconds. */
	p99: number;
}

/** Starts clients; the function that is returned ends them and tells what they saw. */
export async function load(target: string, clients = 8): Promise<() => Promise<Result>> {
	const child = spawn(process.execPath, [fixture('load.mjs'), target, String(clients)], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	onTestFinished(() => {
		child.kill();
	});
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	await lines.next();
	return async () => {
		child.stdin.end();
		const { value } = await lines.next();
		return JSON.parse(value);
	};
}
