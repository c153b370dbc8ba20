/** Node opens a debugger on a SIGUSR1 that comes before the program can listen, and any user of the machine could use it. */

const never = '--disable-sigusr1';

/**
 * An older Node can only be told where to open it: at an address that no machine has (240.0.0.0/4 is reserved, RFC 1112),
 * so that it fails to. bin/socketmaster has the same words.
 */
const nowhere = '--inspect-port=240.0.0.1:1024';

/** The flag that keeps Node from it, unless it is among `args` already, or the operator wants a debugger. */
export function withoutDebugger(args: (string | Buffer)[] = []): string[] {
	const flag = process.allowedNodeEnvironmentFlags.has(never) ? never : nowhere;
	return args.some((word) => word === flag || /^--inspect\b/.test(String(word))) ? [] : [flag];
}
