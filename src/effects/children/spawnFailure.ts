/** Why a child could not be spawned, as fields of the event. */
import type { FactOf } from '../../machines/facts/facts.ts';
import { errorText } from '../os/errorText.ts';
import { SyscallError } from '../os/libc.ts';

/** The variables of -env can't be read. */
export class EnvironmentError extends Error {}

/** @param path the program */
export function spawnFailure(
	path: string | Buffer,
	error: unknown,
): Pick<FactOf<'child.spawnFailed'>, 'reason' | 'code'> {
	const code = error instanceof EnvironmentError ? ({ code: 'environment' } as const) : {};
	return { reason: whyNot(path, error), ...code };
}

function whyNot(path: string | Buffer, error: unknown): string {
	if (!(error instanceof SyscallError)) return errorText(error);
	const what = ['posix_spawn', 'execve'].includes(error.syscall) ? `fork/exec ${path}` : error.syscall;
	const hint = error.code === 'EPERM' && process.geteuid?.() !== 0 ? ' (-user takes root)' : '';
	return `${what}: ${error.message}${hint}`;
}
