/**
 * Ends a process without the exit work of Node. A bundle of its own (leave.cjs): commands load it, and libc with it,
 * only at their end.
 */
import { constants } from 'node:os';
import { call, libc } from '../os/libc.ts';

export function leave(status: number): void {
	libc('_exit')(status);
}

/** Resets the signal to its default action and sends it to this process, so that its wait status reports the signal. */
export function dieOf(signal: NodeJS.Signals): void {
	libc('signal')(constants.signals[signal], 0);
	call('kill', process.pid, constants.signals[signal]);
}
