/** What earlier releases have written is recovered from, taken over and replayed. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { supervisorSection } from '../../src/cli/startup.ts';
import { childrenSection } from '../../src/effects/children/children.ts';
import { orphansSection } from '../../src/effects/children/orphans.ts';
import { projectionsOf } from '../../src/effects/journal/lineSchemas.ts';
import { readJournal } from '../../src/effects/journal/lines.ts';
import { upcastSections } from '../../src/effects/journal/upcast.ts';
import { newHandoverState } from '../../src/effects/upgrade/handoverState.ts';
import { evolveProjections, noProjections } from '../../src/machines/state/projections.ts';
import { environment, executable, fixture, kill, root, run, scratch } from '../support/program.ts';

const stored = (name: string) => join(root, 'test/formats', name);

/** Two children that serve, and the flags that their supervisor had. */
function site() {
	const folder = scratch();
	const instructions = join(folder, 'instructions');
	writeFileSync(instructions, 'accept ready');
	const env = environment({ INSTRUCTIONS: instructions });
	const flags = ['-start=60000', '-ready=notify', '-respawn=500', `-command=${fixture('acceptor.py')}`];
	return { folder, env, flags };
}

function endAfterTest(pids: number[]) {
	onTestFinished(() => {
		for (const pid of pids) kill(pid, 'SIGKILL');
	});
}

it.each(['journal-4.jsonl', 'journal-4-checkpoint.jsonl', 'journal-5.jsonl', 'journal-5-checkpoint.jsonl'])(
	'%s is recovered from, with its children, its listener and a rotation after it',
	async (name) => {
		const { folder, env, flags } = site();
		const journal = join(folder, 'journal');
		const { stdout } = spawnSync(fixture('predecessor.py'), ['journal', stored(name), journal], {
			env,
			encoding: 'utf8',
		});
		const { pids, address } = JSON.parse(stdout);
		endAfterTest(pids);
		const program = run(['-listen=tcp://127.0.0.1:0', `-journal=${journal}`, ...flags], { env });
		await program.logged(new RegExp(`^Recovered from ${journal}: took over ${pids.join(', ')}$`));
		expect(pids.map(String)).toContain(await (await fetch(`http://${address}/`)).text());
		program.signal('SIGHUP');
		await program.logged(/^Generation 3 is up \(\d+\); sending SIGHUP to \d+$/);
		await program.logged(new RegExp(`^${pids[1]} exit status unknown$`));
		program.signal('SIGTERM');
		expect((await program.ended).status).toBe(0);
	},
);

it.each(['handover-5.jsonl', 'handover-6.jsonl'])(
	'%s is taken over, with its children, its listener and a rotation after it',
	async (name) => {
		const { env, flags } = site();
		const args = ['handover', stored(name), executable, '-listen=tcp://127.0.0.1:0', ...flags];
		const program = run(args, { command: fixture('predecessor.py'), env });
		await program.logged(/^Upgraded to version /);
		program.signal('SIGHUP');
		const [, second = ''] = await program.logged(/^Generation 3 is up \(\d+\); sending SIGHUP to (\d+)$/);
		endAfterTest([Number(second)]);
		await program.logged(new RegExp(`^${second} (exit status 0|signal: hangup)$`));
		program.signal('SIGTERM');
		const ended = await program.ended;
		endAfterTest(JSON.parse(ended.stdout.split('\n')[0] ?? '').pids);
		expect(ended.status).toBe(0);
	},
);

/** What a program hands over. */
function handedOver(name: string) {
	const [document = ''] = readFileSync(stored(name), 'utf8').split('\n');
	const { states, format } = JSON.parse(document);
	return newHandoverState(upcastSections(states, format));
}

it.each([
	['handover-5.jsonl', null, null],
	['handover-5-left.jsonl', 'HUP', 'orphaned'],
])('%s is understood in all its parts', (name, told, phase) => {
	const handoverState = handedOver(name);
	const first = handoverState.restore(childrenSection)?.find(({ child }) => child === 1);
	expect(first?.told).toBe(told);
	expect(first?.group === null).toBe(told === null);
	const { state: supervisorState } = handoverState.restore(supervisorSection) ?? {};
	if (phase) expect(supervisorState?.children[0]?.phase).toBe(phase);
	expect(handoverState.restore(orphansSection)).toEqual({ living: [], wereTold: false });
});

it.each([
	['handover-5.jsonl', [false, false]],
	['handover-5-failed.jsonl', [false, true]],
])('%s tells which child has failed a rotation by its end', (name, failed) => {
	const children = handedOver(name).restore(childrenSection);
	expect(children?.map(({ hasFailed }) => hasFailed)).toEqual(failed);
});

/** What the lines of a stored journal come to. */
const lastOf = (name: string) => {
	let past = noProjections;
	for (const line of readJournal(readFileSync(stored(name))).lines)
		past = 'checkpoint' in line ? projectionsOf(line) : evolveProjections(past, line);
	return past;
};

it('a process that was left behind is known from a stored journal, and from its checkpoint', () => {
	for (const name of ['journal-4-left.jsonl', 'journal-4-left-checkpoint.jsonl']) {
		expect(readJournal(readFileSync(stored(name))).header).not.toBeNull();
		const { state } = lastOf(name);
		expect(state?.plan).toMatchObject({ maxDraining: 5 });
		expect(state?.children[0]).toMatchObject({
			phase: 'orphaned',
			survivors: [26122],
			spawnedClock: expect.any(Number),
		});
	}
});

it('a health check is known from a stored journal, and from its checkpoint', () => {
	const over = lastOf('journal-5-checked.jsonl');
	expect(over.state).toMatchObject({ serving: 2, candidate: null, checks: { candidate: null, serving: null } });
	expect(over.state?.plan).toMatchObject({ check: '/up', bake: 300 });
	expect(over.state?.children).toMatchObject([{ child: 2, pipe: null }]);
	expect(over.rotations.kept.at(-1)).toMatchObject({ generation: 3, code: 'check-failed', check: '503' });
	expect(over.counters.checks).toMatchObject({ passed: 3, failed: 1 });
	const { state, counters } = lastOf('journal-5-checked-checkpoint.jsonl');
	expect(state).toMatchObject({
		candidate: 3,
		checks: {
			candidate: { millis: 2000, at: expect.any(Number), clock: expect.any(Number), problem: '503' },
			serving: null,
		},
	});
	expect(counters.checks).toMatchObject({ passed: 3, failed: 0 });
});

it.each(['journal-5-watched.jsonl', 'journal-5-watched-checkpoint.jsonl'])(
	'%s tells which child was aborted, and the kill timeout of a stop of its generation',
	(name) => {
		const { state, counters } = lastOf(name);
		expect(state?.children).toMatchObject([
			{ child: 1, phase: 'draining', kill: 600_000, watchdog: 300, hungClock: expect.any(Number) },
			{ child: 2, phase: 'serving', kill: null, watchdog: 300, hungClock: null },
		]);
		expect(counters.hung).toBe(1);
	},
);

it('a checkpoint tells which child ended last, without having been told to leave', () => {
	const { lines } = readJournal(readFileSync(stored('journal-4-ended-checkpoint.jsonl')));
	const [checkpoint] = lines;
	if (!checkpoint || !('checkpoint' in checkpoint)) throw new Error('the first line is no checkpoint');
	expect(projectionsOf(checkpoint).state?.ended).toMatchObject({
		child: 1,
		generation: 1,
		phase: 'serving',
		wasUp: true,
	});
});

it.each(readdirSync(stored('.')).filter((name) => name.startsWith('journal-')))(
	'%s is replayed as it was decided',
	(name) => {
		const { status, stdout, stderr } = spawnSync(executable, ['replay', stored(name)], {
			encoding: 'utf8',
			env: environment(),
		});
		expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
		expect(stdout).toMatch(/Generation 2 is up|checkpoint/);
		expect(readFileSync(stored(name), 'utf8')).toMatch(/"journal":[45],/);
	},
);
