/**
 * The starter is a tiny program in a memfd. It sets the limit of open files for a child, then executes the child's
 * program. A slow file system delays execve(2), and posix_spawn(3) waits for execve(2). The execve(2) of the starter
 * reads only memory, so a slow file system delays only the child.
 */
import { writeSync } from 'node:fs';
import { closeAll, copyUp, makePipe } from './descriptors.ts';
import { type ExecOutcome, execOutcomeOf } from './execOutcome.ts';
import { call, errno, SyscallError } from './libc.ts';
import { startLimit, withStartLimit } from './openFiles.ts';
import { type SpawnSpec, spawnProcess } from './spawn.ts';

/**
 * Machine code of test/fixtures/starter-*.S. The starter calls execve(argv[0], argv, envp) with the strings on its
 * stack. Two placeholders stand for numbers: the fd that receives the errno of a failure, and the soft limit (0:
 * unchanged).
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

/** Error codes of a system that does not allow the starter to run. */
const refusals = ['EACCES', 'EPERM', 'ENOENT', 'ENOEXEC', 'ENOSYS', 'EINVAL'];

const placeholders = { answer: '11111111', limit: '22222222' };

/** Memfds of starters, by the numbers that replace the placeholders. */
const starters = new Map<string, number>();

/**
 * A starter failed to run and the program itself ran: memfds are not executable (vm.memfd_noexec, seccomp), or /proc
 * is missing.
 */
let isImpossible = false;

/**
 * Starts a process that executes the program.
 * @returns the pending outcome of execve(2); if the starter cannot run, the pid of the process, which runs the
 * program already
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
	// The starter sets only a limit that allows all fds of the process.
	const starter = starterFor(answer, limit > answer && limit < 2 ** 31 ? limit : 0);
	const [read, write] = makePipe();
	try {
		const pid = spawnProcess({ ...spec, file: `/proc/self/fd/${starter}`, fds: [...spec.fds, write] });
		closeAll([write]);
		return execOutcomeOf(pid, read, (report) => report.readInt32LE());
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
		writeSync(
			fd,
			elf(
				own.machine,
				own.hex.replaceAll(placeholders.answer, hexOf(answer)).replace(placeholders.limit, hexOf(limit)),
			),
		);
		// The number is above the fds of the process: posix_spawn opens the memfd after the file actions.
		const kept = copyUp(fd, answer + 1);
		starters.set(key, kept);
		return kept;
	} finally {
		closeAll([fd]);
	}
}

/** Linux before 6.3 rejects MFD_EXEC. A later kernel may create a memfd that is not executable without MFD_EXEC. */
function executableMemory(): number {
	const [MFD_CLOEXEC, MFD_EXEC] = [1, 16];
	try {
		return call('memfd_create', 'starter', MFD_CLOEXEC | MFD_EXEC);
	} catch (error) {
		if (!(error instanceof SyscallError) || error.code !== 'EINVAL') throw error;
		return call('memfd_create', 'starter', MFD_CLOEXEC);
	}
}

/** An executable with one segment (elf(5)): file header, program header, code. */
function elf(machine: number, hex: string): Buffer {
	const [base, headers, page] = [0x400000n, 120, 0x10000n];
	const bytes = Buffer.concat([Buffer.alloc(headers), Buffer.from(hex, 'hex')]);
	bytes.write('7f454c46020101', 0, 'hex');
	// ET_EXEC, machine, EV_CURRENT, entry address, offset of the program header, sizes and counts of the headers.
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
	// PT_LOAD, readable and executable, from the start of the file.
	bytes.writeUInt32LE(1, 64);
	bytes.writeUInt32LE(5, 68);
	bytes.writeBigUInt64LE(base, 80);
	bytes.writeBigUInt64LE(base, 88);
	bytes.writeBigUInt64LE(BigInt(bytes.length), 96);
	bytes.writeBigUInt64LE(BigInt(bytes.length), 104);
	bytes.writeBigUInt64LE(page, 112);
	return bytes;
}
