import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { filter, firstValueFrom, ReplaySubject } from 'rxjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { spawnAsUser } from '../../../src/effects/os/asUser.ts';
import { closeAll, makePipe, sealDescriptors } from '../../../src/effects/os/descriptors.ts';
import { signalNumber, signalProcess } from '../../../src/effects/os/kill.ts';
import { lookUp } from '../../../src/effects/os/proc.ts';
import { logicalDirectory, type SpawnSpec, spawnProcess } from '../../../src/effects/os/spawn.ts';
import { findUser, type User } from '../../../src/effects/os/user.ts';
import { type Exit, exits, reap } from '../../../src/effects/os/wait.ts';
import { isRoot, scratch } from '../../support/program.ts';

const reaped = new ReplaySubject<Exit>();
beforeAll(() => {
	sealDescriptors();
	const subscription = exits().subscribe(reaped);
	return () => subscription.unsubscribe();
});

const exitOf = (pid: number) => firstValueFrom(reaped.pipe(filter((exit) => exit.pid === pid)));

/** Runs a shell script with a pipe as its output. */
async function sh(script: string, changes: Partial<SpawnSpec> = {}, user: User | null = null) {
	const [read, write] = makePipe();
	const spec = {
		path: '/bin/sh',
		args: ['-c', script],
		env: { PATH: process.env.PATH },
		fds: [0, write, write],
		directory: process.cwd(),
		...changes,
	};
	const pid = user ? spawnAsUser(spec, user, {}).pid : spawnProcess(spec);
	closeAll([write]);
	const exit = await exitOf(pid);
	const buffer = Buffer.alloc(65536);
	let output = '';
	for (let length = readSync(read, buffer); length > 0; length = readSync(read, buffer)) {
		output += buffer.toString('utf8', 0, length);
	}
	closeAll([read]);
	return { pid, exit, output };
}

describe('a spawned process', () => {
	it('gets its arguments, its environment and its fds, and no other', async () => {
		const { output } = await sh('echo "$0 $1 $A"; ls /proc/self/fd | tr "\\n" " "', {
			args: ['-c', 'echo "$0 $1 $A"; ls /proc/self/fd | tr "\\n" " "', 'zero', 'ün'],
			env: { PATH: process.env.PATH, A: 'b=ç', GONE: undefined },
		});
		expect(output).toBe('zero ün b=ç\n0 1 2 3 ');
	});

	it('leads a process group of its own and starts with default signals and an empty mask', async () => {
		const { pid, output } = await sh('cut -d" " -f5 /proc/self/stat; grep -E "Sig(Blk|Ign)" /proc/self/status');
		const [group, blocked, ignored] = output.split('\n').map((line) => line.split('\t').at(-1));
		expect({ group, blocked }).toEqual({ group: String(pid), blocked: '0'.repeat(16) });
		// glibc has its own two, 32 and 33, ignored in every process it spawns.
		expect(BigInt(`0x${ignored}`) & 0x7fffffffn).toBe(0n);
	});

	it.each([
		['exit 3', { code: 3, signal: null, status: 3 }],
		['kill -KILL $$', { code: null, signal: 'killed', status: 137 }],
		['kill -TERM $$', { code: null, signal: 'terminated', status: 143 }],
	])('that ends by %s is reaped with its status', async (script, expected) => {
		expect((await sh(script)).exit).toMatchObject(expected);
	});

	it('leaves no zombie, also when many end at once', async () => {
		const pids = Array.from({ length: 50 }, () =>
			spawnProcess({ path: '/bin/true', args: [], env: {}, fds: [0, 1, 2], directory: '/' }),
		);
		await Promise.all(pids.map(exitOf));
		expect(pids.filter((pid) => lookUp(pid))).toEqual([]);
		expect([...reap()]).toEqual([]);
	});

	it('starts in the directory by its logical path, so that a link is followed anew each time', async () => {
		const folder = scratch();
		for (const name of ['one', 'two']) mkdirSync(join(folder, name));
		const link = join(folder, 'current');
		symlinkSync('one', link);
		expect((await sh('pwd -P', { directory: link })).output).toBe(`${folder}/one\n`);
		unlinkSync(link);
		symlinkSync('two', link);
		expect((await sh('pwd -P', { directory: link })).output).toBe(`${folder}/two\n`);
	});

	it('starts where we are when its directory is gone', async () => {
		expect((await sh('pwd -P', { directory: '/nonexistent' })).output).toBe(`${process.cwd()}\n`);
	});

	it.each([
		['/nonexistent', 'no such file or directory', 'ENOENT'],
		['/etc', 'permission denied', 'EACCES'],
		['/etc/passwd', 'permission denied', 'EACCES'],
	])('cannot be %s', (path, message, code) => {
		const spawn = () => spawnProcess({ path, args: [], env: {}, fds: [0, 1, 2], directory: '/' });
		expect(spawn).toThrow(expect.objectContaining({ message, code, syscall: 'posix_spawn' }));
	});

	it('is known by its start time, and no longer when it is gone', async () => {
		const pid = spawnProcess({ path: '/bin/sleep', args: ['60'], env: {}, fds: [0, 1, 2], directory: '/' });
		expect(lookUp(pid)).toEqual({
			startTime: Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[21]),
			group: pid,
			parent: process.pid,
			isAlive: true,
			isBlocked: false,
			isStopped: false,
		});
		expect(signalProcess(pid, 'KILL')).toBe(true);
		await exitOf(pid);
		expect(lookUp(pid)).toBeNull();
		expect(signalProcess(pid, 'KILL')).toBe(false);
	});
});

describe('names', () => {
	it('of signals have numbers', () => {
		expect(signalNumber('TERM')).toBe(15);
		expect(signalNumber('NOPE')).toBeNull();
	});

	it('of the directory is $PWD only when that is where we are', () => {
		const folder = scratch();
		symlinkSync(process.cwd(), join(folder, 'here'));
		expect(logicalDirectory({ PWD: join(folder, 'here') })).toBe(join(folder, 'here'));
		expect(logicalDirectory({ PWD: folder })).toBe(process.cwd());
		expect(logicalDirectory({ PWD: 'relative' })).toBe(process.cwd());
		expect(logicalDirectory({})).toBe(process.cwd());
	});
});

describe.runIf(isRoot)('a process of another user', () => {
	const name = 'smtest';
	beforeAll(() => {
		execFileSync('sh', ['-c', `getent group smextra || groupadd smextra; id ${name} || useradd -M -G smextra ${name}`]);
		return () => execFileSync('sh', ['-c', `userdel ${name}; groupdel smextra`]);
	});

	it('has the user’s uid, gid and groups', async () => {
		const user = findUser(name);
		const { output } = await sh('id -u; id -g; id -nG', {}, user);
		expect(output).toBe(`${user.uid}\n${user.gid}\n${name} smextra\n`);
	});

	it('has no capability left, and no way back', async () => {
		const { output } = await sh(
			'grep -E "^(Uid|Gid|CapInh|CapPrm|CapEff|CapAmb)" /proc/self/status',
			{},
			findUser(name),
		);
		const { uid, gid } = findUser(name);
		const none = '0000000000000000';
		expect(output).toBe(
			`${[
				`Uid:\t${uid}\t${uid}\t${uid}\t${uid}`,
				`Gid:\t${gid}\t${gid}\t${gid}\t${gid}`,
				...['Inh', 'Prm', 'Eff', 'Amb'].map((set) => `Cap${set}:\t${none}`),
			].join('\n')}\n`,
		);
	});

	it('can neither signal its parent nor read what is root’s', async () => {
		const { output } = await sh(
			`kill -0 ${process.pid} 2>/dev/null || echo no signal; cat /etc/shadow 2>/dev/null || echo no secret`,
			{},
			findUser(name),
		);
		expect(output).toBe('no signal\nno secret\n');
	});

	it('starts with default signals, an empty mask, its arguments to the byte, and no fd but its own', async () => {
		const args = [
			'-c',
			'printf "%s|" "$@" "$A"; ls /proc/self/fd | tr "\\n" " "; grep -E "Sig(Blk|Ign)" /proc/self/status',
			'0',
			'two words',
			'$x',
			'',
			Buffer.from([0xff, 0xfe]),
		];
		const { output } = await sh('', { args, env: { PATH: process.env.PATH, A: Buffer.from([0x80]) } }, findUser(name));
		expect(output.slice(0, 27)).toBe('two words|$x||\ufffd\ufffd|\ufffd|0 1 2 3 ');
		expect(output.match(/SigBlk:\t(\w+)/)?.[1]).toBe('0'.repeat(16));
		expect(BigInt(`0x${output.match(/SigIgn:\t(\w+)/)?.[1]}`) & 0x7fffffffn).toBe(0n);
	});

	it('that can’t become its program says by which error', async () => {
		const spec = { path: '/nonexistent', args: [], env: {}, fds: [0, 1, 2], directory: '/' };
		const birth = spawnAsUser(spec, findUser(name), {});
		await new Promise<void>((resolve) => birth.onKnown(resolve));
		expect(birth.outcome()).toMatchObject({ code: 'ENOENT', syscall: 'execve' });
		await exitOf(birth.pid);
	});

	it('leaves its parent as it was', async () => {
		const credentials = () => readFileSync('/proc/self/status', 'utf8').match(/^(Uid|Gid|Groups|Cap\w+):.*$/gm);
		const before = credentials();
		await sh('true', {}, findUser(name));
		expect(credentials()).toEqual(before);
	});

	it('has to exist', () => {
		expect(() => findUser('nosuch')).toThrow('unknown user nosuch');
		expect(() => findUser('4242424')).toThrow('unknown user 4242424');
		expect(findUser('0')).toMatchObject({ name: 'root', uid: 0, home: '/root' });
	});
});
