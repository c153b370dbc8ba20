/**
 * A journal as a supervisor that was rotated very often would have left it, were it not compacted:
 * every rotation is six facts.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

/** Writes a journal of about so many facts. */
export function writeHistory(path, facts) {
	const fd = openSync(path, 'w');
	let seq = 0;
	const at = () => 1_700_000_000_000 + seq * 10;
	let text = `${JSON.stringify({ journal: 1, program: '1.0.0', boot: 'b', run: 'r', pid: 1, startTime: 1, args: [], listeners: [] })}\n`;
	const add = (fact) => {
		seq += 1;
		text += `${JSON.stringify({ seq, at: at(), ...fact })}\n`;
		if (text.length < 1 << 20) return;
		writeSync(fd, text);
		text = '';
	};
	const spawn = (child) => {
		add({ type: 'child.spawning', child, generation: child });
		add({ type: 'child.spawned', child, pid: 1000 + child, startTime: child, pipe: child });
		add({ type: 'timer.elapsed', child, timer: 'boot' });
	};
	add({ type: 'supervisor.started', pid: 1, plan: { start: 10, kill: 0, drain: 'HUP', size: 1 } });
	spawn(1);
	for (let child = 2; seq < facts; child += 1) {
		add({ type: 'signal.HUP', from: `running ${child - 1}:serving` });
		spawn(child);
		add({ type: 'child.signalled', child: child - 1, signal: 'HUP', reason: 'drain' });
		add({ type: 'child.exited', child: child - 1, pid: 999 + child, code: 0, signal: null, status: 0 });
	}
	writeSync(fd, text);
	closeSync(fd);
}
