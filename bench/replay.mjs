/** How fast a journal is replayed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeHistory } from '../test/support/history.mjs';
import { folder, isQuick, programs, report } from './support.mjs';

export async function benchReplay() {
	const facts = isQuick ? 2000 : 100_000;
	const path = join(folder, 'journal');
	writeHistory(path, facts);
	const began = performance.now();
	const child = spawn(programs[0].path, ['replay', path], { stdio: ['ignore', 'pipe', 'inherit'] });
	let peak = 0;
	child.stdout.on('data', () => {
		try {
			peak = Number(readFileSync(`/proc/${child.pid}/status`, 'utf8').match(/VmHWM:\s+(\d+)/)?.[1] ?? peak);
		} catch {
			// It has just ended.
		}
	});
	await once(child, 'close');
	report(`replay: ${facts} facts, s`, [(performance.now() - began) / 1000]);
	report('replay: peak memory, KiB', [peak]);
}
