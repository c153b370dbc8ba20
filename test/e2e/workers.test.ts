/** Several children that share the sockets, and what becomes of one that dies. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { load } from '../support/load.ts';
import { childrenOf, until } from '../support/proc.ts';
import { fixture, kill, type Program, run, scratch } from '../support/program.ts';

const forever = 'while :; do sleep 0.02; done';

/** Children that are shell scripts; each says its place first. */
const supervise = (script: string, flags: string[]) =>
	run([
		'-listen=tcp://127.0.0.1:0',
		'-start=50',
		...flags,
		'-verify=hold',
		'-command=/bin/sh',
		'--',
		'-c',
		`echo place $EINHORN_CHILD_INDEX of $SERVER_STARTER_GENERATION; ${script}`,
	]);

const patient = `trap "exit 0" HUP TERM; ${forever}`;

/** The pid of the nth child that said it has this place. */
async function placed(program: Program, place: number, generation = 1, nth = 1): Promise<number> {
	const words = `place ${place} of ${generation}`;
	await program.logged(new RegExp(`\\] ${words}$`), nth);
	const all = [...program.stderr().matchAll(new RegExp(`\\[(\\d+)\\] ${words}$`, 'gm'))];
	return Number(all[nth - 1]?.[1]);
}

describe('-workers=4', () => {
	it('serves with four children, rotates all of them under load, and loses no request', async () => {
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=300', '-workers=4', `-command=${fixture('server.mjs')}`]);
		const [, address = ''] = await program.logged(/^Bound to (.*)$/);
		await program.logged(/^Generation 1 is up/);
		const finish = await load(address, 8);
		for (let generation = 2; generation <= 4; generation += 1) {
			program.signal('SIGHUP');
			await program.logged(
				new RegExp(`^Generation ${generation} is up \\(\\d+, \\d+, \\d+, \\d+\\); sending SIGHUP to`),
			);
			await program.logged(/exit status 0$/, 4 * (generation - 1));
		}
		const { failures, pids } = await finish();
		expect(failures).toEqual([]);
		expect(pids.length).toBeGreaterThan(8);
		await until('nobody else is left', () => childrenOf(program.pid).length === 4);
	});

	it('fails as a whole when one candidate is lost, and the old four serve on', async () => {
		const script = `[ $SERVER_STARTER_GENERATION = 2 ] && [ $EINHORN_CHILD_INDEX = 2 ] && exit 7; ${patient}`;
		const program = supervise(script, ['-workers=4']);
		await program.logged(/^Generation 1 is up/);
		const before = childrenOf(program.pid);
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 failed: \d+ exit status 7; generation 1 keeps serving$/);
		// Those that have come so far; one may not know yet what to do about its signal.
		await until('the old four are left', () => childrenOf(program.pid).length === 4);
		expect(childrenOf(program.pid)).toEqual(before);
	});
});

describe('-respawn', () => {
	it('fills the place of a worker that was killed, with the same index and generation, and leaves the others alone', async () => {
		const program = supervise(patient, ['-workers=3', '-respawn=10']);
		const lost = await placed(program, 1);
		await program.logged(/^Generation 1 is up/);
		const others = childrenOf(program.pid).filter((pid) => pid !== lost);
		kill(lost, 'SIGKILL');
		await program.logged(new RegExp(`^${lost} signal: killed`));
		await program.logged(/^A child of generation 1 will be started again in 1[0-2] ms$/);
		const next = await placed(program, 1, 1, 2);
		expect(childrenOf(program.pid).sort()).toEqual([...others, next].sort());
	});

	it('replaces one that was told to leave by somebody else, and one whose grandchild holds its output', async () => {
		const program = supervise(`sleep 1000 & ${patient}`, ['-respawn=10']);
		const first = await placed(program, 0);
		await program.logged(/^Generation 1 is up/);
		kill(first, 'SIGTERM');
		const second = await placed(program, 0, 1, 2);
		kill(second, 'SIGKILL');
		await placed(program, 0, 1, 3);
	});

	it('keeps the only child serving: a request that comes while it is gone waits for the next', async () => {
		const program = run(['-listen=tcp://127.0.0.1:0', '-start=50', '-respawn=50', `-command=${fixture('server.mjs')}`]);
		const [, address = ''] = await program.logged(/^Bound to (.*)$/);
		await program.logged(/\] ready$/);
		const [pid = 0] = childrenOf(program.pid);
		kill(pid, 'SIGKILL');
		await program.logged(/signal: killed/);
		const answer = await fetch(`http://${address}/`);
		expect(answer.status).toBe(200);
	});

	it('ends with the status of the tenth death where none was ever up', async () => {
		const program = supervise('exit 7', ['-workers=10', '-respawn=60000', '-start=60000']);
		await program.logged(/^Generation 1 failed: 10 of its children have died, and none was ever up$/);
		expect((await program.ended).status).toBe(7);
	});

	it('starts nobody again after SIGQUIT was passed on', async () => {
		const program = supervise(`trap "exit 3" QUIT; ${forever}`, ['-respawn=0', '-workers=2']);
		await placed(program, 1);
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGQUIT');
		expect((await program.ended).status).toBe(3);
	});

	it('fills the place of one that dies in an upgrade, and knows the other one still', async () => {
		const program = supervise(patient, ['-workers=2', '-respawn=10']);
		const [lost, kept] = [await placed(program, 0), await placed(program, 1)];
		await program.logged(/^Generation 1 is up/);
		program.signal('SIGUSR2');
		kill(lost, 'SIGKILL');
		await program.logged(/^Upgraded/);
		const next = await placed(program, 0, 1, 2);
		expect(childrenOf(program.pid).sort()).toEqual([kept, next].sort());
	});

	it('waits on through an upgrade', async () => {
		const program = supervise(patient, ['-workers=2', '-respawn=1500']);
		const lost = await placed(program, 0);
		await placed(program, 1);
		await program.logged(/^Generation 1 is up/);
		kill(lost, 'SIGKILL');
		await program.logged(/will be started again in 1[5-8]\d\d ms$/);
		program.signal('SIGUSR2');
		await program.logged(/^Upgraded/);
		await placed(program, 0, 1, 2);
		expect(childrenOf(program.pid)).toHaveLength(2);
	});

	it('waits on through kill -9 and a recovery, beside the child that lived on', async () => {
		const journal = join(scratch(), 'journal');
		const flags = ['-workers=2', '-respawn=1500', `-journal=${journal}`];
		const first = supervise(patient, flags);
		const [lost, kept] = [await placed(first, 0), await placed(first, 1)];
		await first.logged(/^Generation 1 is up/);
		kill(lost, 'SIGKILL');
		await first.logged(/will be started again/);
		kill(first.pid, 'SIGKILL');
		await first.ended;
		const second = supervise(patient, flags);
		await second.logged(new RegExp(`^Recovered from .*: took over ${kept}$`));
		await placed(second, 0);
		expect(readFileSync(journal, 'utf8')).toMatch(/"type":"respawn.due","generation":1,"index":0/);
		kill(kept, 'SIGTERM');
	});

	it('gives way to a rotation that brings the mended version', async () => {
		const path = join(scratch(), 'mended');
		const program = supervise(`[ -e ${path} ] || exit 1; ${patient}`, ['-respawn=60000']);
		await program.logged(/will be started again in/);
		writeFileSync(path, '');
		program.signal('SIGHUP');
		await program.logged(/^Generation 2 is up/);
		await until('one child', () => childrenOf(program.pid).length === 1);
	});
});
