/** OS signals as a stream. */
import { readFileSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { Observable } from 'rxjs';
import type { ExternalEvent, Request } from '../../machines/facts/facts.ts';
import { call, libc } from './libc.ts';
import { filesOf } from './proc.ts';

/** Signals that came before there was anybody to tell: the launcher catches them from its first statement on. */
declare const earlySignals: { stop: () => (typeof handled)[number][]; wasDebuggerClosed: () => boolean } | undefined;

const handled = ['HUP', 'TERM', 'INT', 'QUIT', 'USR1', 'USR2'] as const;

/** A fact for every signal the supervisor obeys, for as long as it is subscribed to. */
export function signals(): Observable<ExternalEvent> {
	return new Observable((subscriber) => {
		const handlers = handled.map(
			(name) => [`SIG${name}` as const, () => subscriber.next({ type: `signal.${name}` })] as const,
		);
		for (const [name, handler] of handlers) process.on(name, handler);
		unblock(constants.signals.SIGUSR1);
		for (const name of releaseSignals()) subscriber.next({ type: `signal.${name}` });
		return () => {
			for (const [name, handler] of handlers) process.off(name, handler);
		};
	});
}

/** A Node that is told not to open its debugger on SIGUSR1 leaves that signal blocked, for handlers too. */
function unblock(number: number) {
	const set = Buffer.alloc(128);
	const SIG_UNBLOCK = 1;
	call('sigaddset', set, number);
	libc('pthread_sigmask')(SIG_UNBLOCK, set, null);
}

/** Gives the signals back to their default actions, as far as nobody listens. @returns those that have come so far */
export function releaseSignals(): (typeof handled)[number][] {
	return typeof earlySignals === 'undefined' ? [] : earlySignals.stop();
}

/** Whether a SIGUSR1 that came too early had opened Node's debugger, which was closed then. */
export function wasDebuggerClosed(): boolean {
	return typeof earlySignals === 'undefined' ? false : earlySignals.wasDebuggerClosed();
}

/**
 * Ignores what would end or stop a supervisor and asks for nothing it knows: timers and limits that somebody set
 * before exec(2), real-time signals, and a terminal's job control, as a stopped supervisor is deaf. docs/socketmaster.1.md
 * has the table.
 */
export function ignoreOtherSignals(): void {
	const ignored = ['ALRM', 'VTALRM', 'PROF', 'IO', 'PWR', 'STKFLT', 'XCPU', 'TSTP', 'TTIN', 'TTOU'] as const;
	const [firstRealTime, lastRealTime, SIG_IGN] = [34, 64, 1];
	for (const name of ignored) libc('signal')(constants.signals[`SIG${name}`], SIG_IGN);
	for (let number = firstRealTime; number <= lastRealTime; number += 1) libc('signal')(number, SIG_IGN);
}

/**
 * Signals that have come and that no turn of the event loop has told of, and none will: they are taken out of the
 * pipe by which libuv's handlers tell its loop (uv__signal_msg_t in libuv's src/unix/signal.c: a pointer and the
 * signal's number). Requests for an upgrade are left out.
 */
export function unreadSignals(pipes = loopPipes()): Request[] {
	const found: Request[] = [];
	for (const fd of pipes) {
		const messages = Buffer.alloc(64 * 1024);
		const length = readIfAny(fd, messages);
		for (let offset = 0; offset + 16 <= length; offset += 16) {
			const number = messages.readInt32LE(offset + 8);
			const name = obeyed.find((name) => constants.signals[`SIG${name}`] === number);
			if (name) found.push({ type: `signal.${name}` });
		}
	}
	return found;
}

/**
 * Gives the signals that are obeyed back to the kernel: another thread would still run libuv's handler while execve(2) is
 * under way, and what that writes nobody reads. Better that it ends the process, as it does while Node starts: somebody
 * sees that. @returns how to take them again
 */
export function disownSignals(): () => void {
	const [SIG_DFL, size] = [0, 256];
	const before = obeyed.map((name) => {
		const number = constants.signals[`SIG${name}`];
		const action = Buffer.alloc(size);
		call('sigaction', number, null, action);
		libc('signal')(number, SIG_DFL);
		return { number, action };
	});
	return () => {
		for (const { number, action } of before) call('sigaction', number, action, null);
	};
}

/** Tells of signals that were taken out of the pipe, where it was for nothing; also that a child may have ended. */
export function raiseAgain(unread: Request[]): void {
	process.emit('SIGCHLD', 'SIGCHLD');
	for (const { type } of unread) {
		const name = `SIG${type.slice('signal.'.length)}` as NodeJS.Signals;
		process.emit(name, name);
	}
}

const obeyed = ['HUP', 'TERM', 'INT', 'QUIT'] as const;

/**
 * The ends to read of the pipes of which this process holds both, and that block nobody: those of event loops. The one
 * that blocks is libuv's lock around its handlers.
 */
export function loopPipes(): number[] {
	const pipes = filesOf('self').filter(({ file }) => file.startsWith('pipe:'));
	const own = pipes.filter(({ file }) => pipes.filter((other) => other.file === file).length === 2);
	return own.filter(({ fd }) => isReadWithoutBlocking(fd)).map(({ fd }) => fd);
}

function isReadWithoutBlocking(fd: number): boolean {
	const [O_ACCMODE, O_NONBLOCK] = [3, 0o4000];
	try {
		const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1').match(/flags:\s*(\d+)/)?.[1] ?? '1';
		const flags = Number.parseInt(text, 8);
		return (flags & O_ACCMODE) === 0 && (flags & O_NONBLOCK) !== 0;
	} catch {
		return false;
	}
}

function readIfAny(fd: number, buffer: Buffer): number {
	try {
		return readSync(fd, buffer);
	} catch {
		return 0;
	}
}
