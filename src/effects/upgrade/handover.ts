/** One program becomes the next: the same pid, the same children, the same sockets. */
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { number, object, record, safeParse, string, unknown } from 'valibot';
import { setKept } from '../os/descriptors.ts';
import { call, stringArray } from '../os/libc.ts';
import type { Inheritance } from './inheritance.ts';

/** Counted up when a program could misread what another one hands over. */
export const handoverFormat = 2;

const variable = 'SOCKETMASTER_HANDOVER';

/**
 * Replaces this program by another in the same process. Does not return.
 * @throws {SyscallError} when that can't be done; then nothing has changed
 */
export function becomeProgram(inheritance: Inheritance, path: string, argv: string[]): never {
	const { states, fds } = inheritance.collect();
	const memory = call('memfd_create', 'socketmaster', 0);
	// Node has marked what it inherited close-on-exec, 0 to 2 too.
	const kept = [0, 1, 2, ...fds];
	try {
		const text = Buffer.from(JSON.stringify({ format: handoverFormat, states }));
		for (let rest = text; rest.length > 0; ) rest = rest.subarray(writeSync(memory, rest));
		const env = { ...process.env, [variable]: String(memory) };
		const args = stringArray(argv);
		const environment = stringArray(Object.entries(env).map(([key, value]) => `${key}=${value}`));
		for (const fd of kept) setKept(fd, true);
		call('execve', path, args.pointers, environment.pointers);
		throw new Error('execve returned');
	} catch (error) {
		for (const fd of kept) setKept(fd, false);
		closeSync(memory);
		throw error;
	}
}

/** What the program before this one in the same process has left, once; null for a first program. @throws {Error} */
export function takeHandover(): Record<string, unknown> | null {
	const fd = process.env[variable];
	delete process.env[variable];
	if (fd === undefined) return null;
	const text = readFileSync(`/proc/self/fd/${fd}`, 'utf8');
	closeSync(Number(fd));
	const schema = object({ format: number(), states: record(string(), unknown()) });
	const { success, output } = safeParse(schema, JSON.parse(text));
	if (!success || output.format !== handoverFormat) throw new Error('the handover makes no sense');
	return output.states;
}

/** The words this process was started with, its program's name first. */
export function commandLine(): string[] {
	return readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(0, -1);
}
