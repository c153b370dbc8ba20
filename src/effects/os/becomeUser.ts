/** Changes the credentials of this process to those of another user, then executes the program. */
import { closeSync, writeSync } from 'node:fs';
import { readWhole } from '../upgrade/memfd.ts';
import { setKept } from './descriptors.ts';
import { call, constants, cString, errno, libc, SyscallError, stringArray } from './libc.ts';
import { setLimit } from './openFiles.ts';

/** Numbers of the system calls; they differ by architecture. */
const numbers =
	process.arch === 'x64'
		? { setgroups: 116, setresuid: 117, setresgid: 119 }
		: { setgroups: 159, setresuid: 147, setresgid: 149 };

const [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL] = [47, 4];
const [SIG_DFL, SIG_SETMASK] = [0, 2];

/** Increment if another version of this file could misread an order. */
export const orderFormat = '2';

/**
 * Does not return.
 * @param order fd of a memfd with NUL-terminated fields; the program's own fds have lower numbers
 * @param answer fd of a pipe that receives the errno of a failure, in decimal
 */
export function becomeUser(order: number, answer: number): never {
	try {
		const [format, uid, gid, groups, limit, path, count, ...rest] = fieldsOf(readWhole(order));
		closeSync(order);
		if (format?.toString() !== orderFormat) throw new SyscallError('execve', errno('EPROTO'));
		setKept(answer, false);
		// Node marks inherited fds close-on-exec, including 0 to 2.
		for (let fd = 0; fd < order; fd += 1) setKept(fd, true);
		const number = (field: Buffer | undefined) => Number(field?.toString('latin1'));
		const argv = stringArray([path ?? '', ...rest.slice(0, number(count))]);
		const envp = stringArray(rest.slice(number(count)));
		// Node changes the actions of these signals, and raises the limit of open files.
		for (const signal of ['SIGPIPE', 'SIGXFSZ', 'SIGUSR1'] as const) libc('signal')(signalNumbers[signal], SIG_DFL);
		if (limit && limit.length > 0) setLimit(number(limit));
		setGroups(groups?.toString('latin1').split(',').filter(Boolean).map(Number) ?? []);
		call('prctl', PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
		call('syscall', numbers.setresgid, number(gid), number(gid), number(gid), null);
		call('syscall', numbers.setresuid, number(uid), number(uid), number(uid), null);
		libc('pthread_sigmask')(SIG_SETMASK, Buffer.alloc(128), null);
		call('execve', cString(path ?? ''), argv.pointers, envp.pointers);
		throw new SyscallError('execve', errno('EINVAL'));
	} catch (error) {
		writeSync(answer, String(error instanceof SyscallError ? error.errno : errno('EINVAL')));
		process.exit(constants.EXIT_NOT_EXECUTED);
	}
}

const signalNumbers = { SIGPIPE: 13, SIGXFSZ: 25, SIGUSR1: 10 };

function fieldsOf(bytes: Buffer): Buffer[] {
	const fields: Buffer[] = [];
	for (let start = 0; start < bytes.length; ) {
		const end = bytes.indexOf(0, start);
		fields.push(bytes.subarray(start, end));
		start = end + 1;
	}
	return fields;
}

function setGroups(groups: number[]) {
	const bytes = Buffer.alloc(Math.max(4, groups.length * 4));
	groups.forEach((group, index) => {
		bytes.writeUInt32LE(group, index * 4);
	});
	call('syscallWithPointer', numbers.setgroups, groups.length, bytes, 0, 0);
}
