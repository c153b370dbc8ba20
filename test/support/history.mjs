/**
 * A journal as a supervisor that was rotated very often would have left it, were it not compacted:
 * every rotation is eleven facts, five of them happenings.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

/** Writes a journal of about so many facts, of format 4: earlier versions read it too. */
export function writeHistory(path, facts) {
	const fd = openSync(path, 'w');
	let seq = 0;
	const at = () => 1_700_000_000_000 + seq * 10;
	let text = `${JSON.stringify({ journal: 4, program: '1.0.0', boot: 'b', run: 'r', pid: 1, startTime: 1, args: [], listeners: [], words: null })}\n`;
	const add = (fact) => {
		seq += 1;
		text += `${JSON.stringify({ seq, at: at(), ...fact })}\n`;
		if (text.length < 1 << 20) return;
		writeSync(fd, text);
		text = '';
	};
	const start = (generation, asked) => {
		add({ type: 'generation.started', generation, asked, size: 1 });
		add({ type: 'child.spawning', child: generation, generation, index: 0 });
		add({ type: 'child.spawned', child: generation, pid: 1000 + generation, startTime: 1, pipe: 1, clock: seq });
		add({ type: 'timer.elapsed', child: generation, timer: 'boot' });
		add({ type: 'child.proving', child: generation, by: 'wait' });
		add({ type: 'child.proved', child: generation, isSeen: true, clock: seq });
		add({ type: 'child.ready', child: generation });
		add({ type: 'generation.promoted', generation, replaced: generation > 1 ? [generation - 1] : [] });
	};
	add({
		type: 'supervisor.started',
		pid: 1,
		plan: { start: 10, ready: 'wait', kill: 0, drain: 'HUP', stop: null, size: 1, respawn: -1 },
	});
	start(1, 'start');
	for (let generation = 2; seq < facts; generation += 1) {
		const child = generation - 1;
		add({ type: 'signal.HUP' });
		start(generation, 'SIGHUP');
		add({ type: 'child.signalled', child, signal: 'HUP', reason: 'drain', clock: seq });
		add({ type: 'child.exited', child, pid: 1000 + child, code: 0, signal: null, status: 0, left: [], clock: seq });
	}
	writeSync(fd, text);
	closeSync(fd);
}
