/** A program of its own, loaded when a command ends on a terminal: it has what ends a process at once. */
import { constants } from 'node:os';
import { call, libc } from '../os/libc.ts';

export function leave(status: number): void {
	libc('_exit')(status);
}

/** As if there had been no handler for the signal. */
export function dieOf(signal: NodeJS.Signals): void {
	libc('signal')(constants.signals[signal], 0);
	call('kill', process.pid, constants.signals[signal]);
}
