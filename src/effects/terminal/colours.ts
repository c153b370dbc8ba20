import { isTerminal } from './isTerminal.ts';

/**
 * Whether colours may be used on a file descriptor: on a terminal, unless NO_COLOR is set (no-color.org). It opens no stream:
 * Node would set O_NONBLOCK on what other processes write to as well.
 */
export function hasColours(fd: number, env: NodeJS.ProcessEnv = process.env): boolean {
	return isTerminal(fd) && env.TERM !== 'dumb' && !env.NO_COLOR;
}
