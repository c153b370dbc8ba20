/** Terminates this process. */
import { libc } from './libc.ts';

/**
 * Exits immediately, with _exit(2). On a regular exit Node restores the terminal settings of its start. By then
 * another process may own the terminal. If the terminal is gone, Node aborts.
 */
export function exitNow(status: number): never {
	process.emit('exit', status);
	libc('_exit')(status);
	throw new Error('_exit returned');
}
