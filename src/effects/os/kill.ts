/** Signals sent to processes. */
import { constants } from 'node:os';
import { call, errno, libc, SyscallError } from './libc.ts';

/** 15 for `TERM`; null for what is no signal. */
export function signalNumber(name: string): number | null {
	return (constants.signals as Record<string, number>)[`SIG${name}`] ?? null;
}

/** `TERM` for TERM, term, SIGTERM and 15; null for what is no signal. */
export function signalName(text: string): string | null {
	const bare = text.toUpperCase().replace(/^SIG/, '');
	if (signalNumber(bare) !== null) return bare;
	const found = Object.entries(constants.signals).find(([, number]) => String(number) === text);
	return found ? found[0].slice('SIG'.length) : null;
}

/** @throws {Error} for what is no signal: sent as 0 it would be nothing, without a word */
export function requireSignal(name: string): number {
	const number = signalNumber(name);
	if (number === null) throw new Error(`no such signal: ${name}`);
	return number;
}

/** Sends a signal by its name without SIG; false when there is no such process. @throws {SyscallError} */
export function signalProcess(pid: number, signal: string): boolean {
	return isThere(() => call('kill', pid, requireSignal(signal)));
}

/** Sends a signal to all of a process group; false when there is nobody in it. @throws {SyscallError} */
export function signalGroup(group: number, signal: string): boolean {
	return signalProcess(-group, signal);
}

/** Whether anybody is in a process group. */
export function isGroup(group: number): boolean {
	return exists(-group);
}

/** Whether there is a process of that number, ours to signal or not; one that has ended and is not reaped counts. */
export function exists(pid: number): boolean {
	try {
		return isThere(() => call('kill', pid, 0));
	} catch (error) {
		if (error instanceof SyscallError && error.code === 'EPERM') return true;
		throw error;
	}
}

/** Orphans among the descendants of this process become its children, and not those of PID 1 (prctl(2)). */
export function adoptOrphans(): void {
	const PR_SET_CHILD_SUBREAPER = 36;
	libc('prctl')(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/** Runs a system call on a process; false when it says that there is none. @throws {SyscallError} */
export function isThere(work: () => void): boolean {
	try {
		work();
		return true;
	} catch (error) {
		if (error instanceof SyscallError && error.errno === errno('ESRCH')) return false;
		throw error;
	}
}
