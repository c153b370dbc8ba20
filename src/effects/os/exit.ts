/** The end of this process. */
import { libc } from './libc.ts';

/**
 * Ends at once. As it exits, Node sets the terminal back to what it was when it started: that belongs to others by then,
 * or is gone, and then it aborts.
 */
export function exitNow(status: number): never {
	process.emit('exit', status);
	libc('_exit')(status);
	throw new Error('_exit returned');
}
