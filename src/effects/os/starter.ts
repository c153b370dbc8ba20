/**
 * The smallest program: it sets the limit of open files that children are to have, and becomes another program. execve(2)
 * takes as long as a file system likes, and posix_spawn(3) waits for it: this one lies in memory, and what takes long is the
 * child's own business.
 */
import { writeSync } from 'node:fs';
import { closeAll, copyUp, makePipe } from './descriptors.ts';
import { type ExecOutcome, execOutcomeOf } from './execOutcome.ts';
import { call, errno, SyscallError } from './libc.ts';
import { startLimit, withStartLimit } from './openFiles.ts';
import { type SpawnSpec, spawnProcess } from './spawn.ts';

/**
 * Machine code, as test/fixtures/starter-*.S becomes it: execve(argv[0], argv, envp) on the stack that it was given. Two words in
 * it stand for numbers: the fd that it says an error's number on, and the soft limit (0 is as it is).
 */
const code: Partial<Record<NodeJS.Architecture, { machine: number; hex: string }>> = {
	x64: {
		machine: 62,
		hex: '4889e3bf11111111be02000000ba01000000b8480000000f0541bc222222224585e474334883ec2031ffbe0700000031d24989e2b82e0100000f0585c075184c89242431ffbe070000004889e24531d2b82e0100000f05488b7b08488d7308488b03488d54c310b83b0000000f05f7d850bf111111114889e6ba04000000b8010000000f05bf7e000000b8e70000000f05',
	},
	arm64: {
		machine: 183,
		hex: 'f303009100050018410080d2220080d2280380d2010000d49404001814020034ff8300d1000080d2e10080d2020080d2e3030091a82080d2010000d4000100b5f40300f9000080d2e10080d2e2030091030080d2a82080d2010000d4600640f961220091620240f9220c028b42200091a81b80d2010000d4e003004bff4300d1e00300b900010018e1030091820080d2080880d2010000d4c00f80d2c80b80d2010000d41111111122222222',
	},
};

/** What a machine says that does not let it be run. */
const refusals = ['EACCES', 'EPERM', 'ENOENT', 'ENOEXEC', 'ENOSYS', 'EINVAL'];

const words = { answer: '11111111', limit: '22222222' };

/** By what was put into them: fds of programs in memory. */
const starters = new Map<string, number>();

/** It can't be run here, and a program by itself can: memory may not be executed (vm.memfd_noexec, seccomp), there is no /proc. */
let isImpossible = false;

/**
 * Starts a process that is to become the program.
 * @returns its birth; or its pid where the starter can't be run here: then it is the program already
 * @throws {SyscallError}
 */
export function startProcess(spec: SpawnSpec): ExecOutcome | number {
	if (!isImpossible) {
		try {
			return startFromMemory(spec);
		} catch (error) {
			if (!(error instanceof SyscallError) || !refusals.includes(error.code)) throw error;
		}
	}
	const pid = withStartLimit(spec.fds.length, () => spawnProcess(spec));
	isImpossible = true;
	return pid;
}

/** @throws {SyscallError} */
function startFromMemory(spec: SpawnSpec): ExecOutcome {
	const limit = startLimit() ?? 0;
	const answer = spec.fds.length;
	// With a limit below its fds it could not have them.
	const starter = starterFor(answer, limit > answer && limit < 2 ** 31 ? limit : 0);
	const [read, write] = makePipe();
	try {
		const pid = spawnProcess({ ...spec, file: `/proc/self/fd/${starter}`, fds: [...spec.fds, write] });
		closeAll([write]);
		return execOutcomeOf(pid, read, (said) => said.readInt32LE());
	} catch (error) {
		closeAll([read, write]);
		throw error;
	}
}

/** @throws {SyscallError} */
function starterFor(answer: number, limit: number): number {
	const key = `${answer} ${limit}`;
	const known = starters.get(key);
	if (known !== undefined) return known;
	const own = code[process.arch];
	if (!own) throw new SyscallError('execve', errno('ENOEXEC'));
	const fd = executableMemory();
	try {
		const hexOf = (number: number) => Buffer.from(Uint32Array.of(number).buffer).toString('hex');
		writeSync(fd, elf(own.machine, own.hex.replaceAll(words.answer, hexOf(answer)).replace(words.limit, hexOf(limit))));
		// Above those that the process gets: it is opened when they are in their places.
		const kept = copyUp(fd, answer + 1);
		starters.set(key, kept);
		return kept;
	} finally {
		closeAll([fd]);
	}
}

/** A kernel before Linux 6.3 does not know MFD_EXEC; a later one may give memory that can't be executed without it. */
function executableMemory(): number {
	const [MFD_CLOEXEC, MFD_EXEC] = [1, 16];
	try {
		return call('memfd_create', 'starter', MFD_CLOEXEC | MFD_EXEC);
	} catch (error) {
		if (!(error instanceof SyscallError) || error.code !== 'EINVAL') throw error;
		return call('memfd_create', 'starter', MFD_CLOEXEC);
	}
}

/** A program of one segment (elf(5)): the header of the file, that of the segment, and the code. */
function elf(machine: number, hex: string): Buffer {
	const [base, headers, page] = [0x400000n, 120, 0x10000n];
	const bytes = Buffer.concat([Buffer.alloc(headers), Buffer.from(hex, 'hex')]);
	bytes.write('7f454c46020101', 0, 'hex');
	// ET_EXEC, the machine, EV_CURRENT, the entry, where the segment's header is, and the sizes and counts of headers.
	bytes.writeUInt16LE(2, 16);
	bytes.writeUInt16LE(machine, 18);
	bytes.writeUInt32LE(1, 20);
	bytes.writeBigUInt64LE(base + BigInt(headers), 24);
	bytes.writeBigUInt64LE(64n, 32);
	for (const [offset, value] of [
		[52, 64],
		[54, 56],
		[56, 1],
		[58, 64],
	] as const)
		bytes.writeUInt16LE(value, offset);
	// PT_LOAD, to be read and executed, from the beginning of the file.
	bytes.writeUInt32LE(1, 64);
	bytes.writeUInt32LE(5, 68);
	bytes.writeBigUInt64LE(base, 80);
	bytes.writeBigUInt64LE(base, 88);
	bytes.writeBigUInt64LE(BigInt(bytes.length), 96);
	bytes.writeBigUInt64LE(BigInt(bytes.length), 104);
	bytes.writeBigUInt64LE(page, 112);
	return bytes;
}
