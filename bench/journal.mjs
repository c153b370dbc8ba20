/** How much a rotation adds to the journal, alone and beside many children that drain. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openFifo } from './fifo.mjs';
import { folder, isQuick, programs, report, supervise, wait } from './support.mjs';

export async function benchJournal() {
	for (const draining of isQuick ? [1, 20] : [1, 500]) {
		const bytes = [];
		for (const [index, program] of programs.entries()) {
			const path = join(folder, `journal-${draining}-${index}`);
			const fifo = openFifo();
			const script = `trap "" HUP; echo -n u >${fifo.path}; exec sleep 1000`;
			const supervisor = supervise(program, script, { flags: [`-journal=${path}`] });
			await fifo.reached(1);
			for (let count = 1; count <= draining; count += 1) {
				await settled(path, count);
				supervisor.child.kill('SIGHUP');
				await fifo.reached(count + 1);
			}
			await settled(path, draining + 1);
			const before = statSync(path).size;
			supervisor.child.kill('SIGHUP');
			await fifo.reached(draining + 2);
			await settled(path, draining + 2);
			bytes.push(statSync(path).size - before);
			supervisor.child.kill('SIGKILL');
			for (const [, pid] of readFileSync(path, 'utf8').matchAll(/"type":"child\.spawned".*?"pid":(\d+)/g)) {
				process.kill(Number(pid), 'SIGKILL');
			}
			await supervisor.ended;
			fifo.close();
		}
		report(`journal: bytes for a rotation beside ${draining} draining`, bytes);
	}
}

/** That child's first wait is over, and what follows from it is written. */
async function settled(path, child) {
	const mark = `"child":${child},"timer":"boot"`;
	while (!existsSync(path) || !readFileSync(path, 'latin1').includes(mark)) await wait(2);
	await wait(2);
}
