import { expect, it } from 'vitest';
import { EnvironmentError, spawnFailure } from '../../../src/effects/children/spawnFailure.ts';
import { SyscallError } from '../../../src/effects/os/libc.ts';

const [ENOENT, EMFILE] = [2, 24];

it('a program that can’t be executed is named', () => {
	for (const syscall of ['posix_spawn', 'execve']) {
		const { reason } = spawnFailure('/bin/x', new SyscallError(syscall, ENOENT));
		expect(reason).toMatch(/^fork\/exec \/bin\/x: no such file or directory$/i);
	}
});

it('another system call is named in place of the program', () => {
	expect(spawnFailure('/bin/x', new SyscallError('pipe2', EMFILE)).reason).toMatch(/^pipe2: too many open files$/i);
});

it('a failure by unreadable variables has a code', () => {
	const error = new EnvironmentError('line 3 is no assignment');
	expect(spawnFailure('/bin/x', error)).toEqual({ reason: 'line 3 is no assignment', code: 'environment' });
	expect(spawnFailure('/bin/x', new Error('late'))).toEqual({ reason: 'late' });
});
