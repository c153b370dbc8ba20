/** OS signals as a stream of external events. */
import { readFileSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { Observable } from 'rxjs';
import type { ExternalEvent, Request } from '../../machines/facts/facts.ts';
import { call, libc } from './libc.ts';
import { filesOf } from './proc.ts';

/**
 * Signals that arrived before this program was loaded: the launcher (bin/socketmaster) handles them from its first
 * statement on.
 */
declare const earlySignals: { stop: () => (typeof handled)[number][]; wasDebuggerClosed: () => boolean } | undefined;

const handled = ['HUP', 'TERM', 'INT', 'QUIT', 'USR1', 'USR2'] as const;

/** Emits an external event for every handled signal, while subscribed. */
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

/** With --disable-sigusr1, Node leaves SIGUSR1 blocked, so that no handler would run. */
function unblock(number: number) {
	const set = Buffer.alloc(128);
	const SIG_UNBLOCK = 1;
	call('sigaddset', set, number);
	libc('pthread_sigmask')(SIG_UNBLOCK, set, null);
}

/**
 * Removes the launcher's handlers; a signal without another handler gets its default action.
 * @returns the signals that arrived so far
 */
export function releaseSignals(): (typeof handled)[number][] {
	return typeof earlySignals === 'undefined' ? [] : earlySignals.stop();
}

/** Whether an early SIGUSR1 had opened Node's debugger, and the launcher closed the debugger. */
export function wasDebuggerClosed(): boolean {
	return typeof earlySignals === 'undefined' ? false : earlySignals.wasDebuggerClosed();
}

/**
 * Ignores signals that would end or stop the supervisor and request nothing: signals of timers and limits set before
 * execve(2), real-time signals, and signals of terminal job control. A stopped supervisor would not react to its
 * children. docs/socketmaster.1.md has the table.
 */
export function ignoreOtherSignals(): void {
	const ignored = ['ALRM', 'VTALRM', 'PROF', 'IO', 'PWR', 'STKFLT', 'XCPU', 'TSTP', 'TTIN', 'TTOU'] as const;
	const [firstRealTime, lastRealTime, SIG_IGN] = [34, 64, 1];
	for (const name of ignored) libc('signal')(constants.signals[`SIG${name}`], SIG_IGN);
	for (let number = firstRealTime; number <= lastRealTime; number += 1) libc('signal')(number, SIG_IGN);
}

/**
 * Removes and returns signals that have arrived and that the event loop has not delivered. libuv's signal handlers
 * write them to a pipe of the event loop (uv__signal_msg_t in libuv's src/unix/signal.c: a pointer and the signal
 * number). Requests for an upgrade are left out.
 */
export function unreadSignals(pipes = loopPipes()): Request[] {
	const found: Request[] = [];
	for (const fd of pipes) {
		const messages = Buffer.alloc(64 * 1024);
		const length = readIfAny(fd, messages);
		for (let offset = 0; offset + 16 <= length; offset += 16) {
			const number = messages.readInt32LE(offset + 8);
			const name = requestSignals.find((name) => constants.signals[`SIG${name}`] === number);
			if (name) found.push({ type: `signal.${name}` });
		}
	}
	return found;
}

/**
 * Restores the default actions of the request signals. During execve(2) another thread would still run libuv's
 * handler, and the signal would be lost. The default action ends the process instead, as it does while Node starts.
 * The operator can see the exit.
 * @returns a function that restores the handlers
 */
export function disownSignals(): () => void {
	const [SIG_DFL, size] = [0, 256];
	const before = requestSignals.map((name) => {
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

/** Emits removed signals again if execve(2) fails. Also emits SIGCHLD: its message may have been removed too. */
export function raiseAgain(unread: Request[]): void {
	process.emit('SIGCHLD', 'SIGCHLD');
	for (const { type } of unread) {
		const name = `SIG${type.slice('signal.'.length)}` as NodeJS.Signals;
		process.emit(name, name);
	}
}

const requestSignals = ['HUP', 'TERM', 'INT', 'QUIT'] as const;

/**
 * The read ends of the pipes of event loops: this process holds both ends of such a pipe, and reads do not block. The
 * blocking pipe with both ends here is libuv's lock around its handlers.
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
