/** Sends signals to processes. */
import { constants } from 'node:os';
import { call, errno, libc, SyscallError } from './libc.ts';

/** 15 for `TERM`; null for an unknown name. */
export function signalNumber(name: string): number | null {
	return (constants.signals as Record<string, number>)[`SIG${name}`] ?? null;
}

/** `TERM` for TERM, term, SIGTERM and 15; null for an unknown signal. */
export function signalName(text: string): string | null {
	const bare = text.toUpperCase().replace(/^SIG/, '');
	if (signalNumber(bare) !== null) return bare;
	const found = Object.entries(constants.signals).find(([, number]) => String(number) === text);
	return found ? found[0].slice('SIG'.length) : null;
}

/** @throws {Error} for an unknown name: kill(2) with signal 0 would do nothing and succeed */
export function requireSignal(name: string): number {
	const number = signalNumber(name);
	if (number === null) throw new Error(`no such signal: ${name}`);
	return number;
}

/** Sends a signal, named without SIG; returns false if the process does not exist. @throws {SyscallError} */
export function signalProcess(pid: number, signal: string): boolean {
	return isThere(() => call('kill', pid, requireSignal(signal)));
}

/** Sends a signal to a process group; returns false if the group is empty. @throws {SyscallError} */
export function signalGroup(group: number, signal: string): boolean {
	return signalProcess(-group, signal);
}

/** Whether a process group contains a process. Zombies count. */
export function isGroup(group: number): boolean {
	return exists(-group);
}

/** Whether a process has this pid. Zombies count, as do processes that the supervisor may not signal. */
export function exists(pid: number): boolean {
	try {
		return isThere(() => call('kill', pid, 0));
	} catch (error) {
		if (error instanceof SyscallError && error.code === 'EPERM') return true;
		throw error;
	}
}

/** Makes this process the parent of its orphaned descendants, instead of PID 1 (prctl(2)). */
export function adoptOrphans(): void {
	const PR_SET_CHILD_SUBREAPER = 36;
	libc('prctl')(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/** Runs a system call on a process; returns false on ESRCH. @throws {SyscallError} */
export function isThere(work: () => void): boolean {
	try {
		work();
		return true;
	} catch (error) {
		if (error instanceof SyscallError && error.errno === errno('ESRCH')) return false;
		throw error;
	}
}
