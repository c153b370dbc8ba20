/** Node opens a debugger on a SIGUSR1 that comes before the program can listen, and any user of the machine could use it. */

const never = '--disable-sigusr1';

/**
 * An older Node can only be told where to open it: at an address that no machine has (240.0.0.0/4 is reserved, RFC 1112),
 * so that it fails to. bin/socketmaster has the same words.
 */
const nowhere = '--inspect-port=240.0.0.1:1024';

/** The flag that keeps a Node from it. */
export const debuggerFlag = process.allowedNodeEnvironmentFlags.has(never) ? never : nowhere;

/** The same for a program that goes on with the flags of this one, unless they have it already or want a debugger. */
export function missingDebuggerFlag(): string[] {
	const isThere = process.execArgv.some((word) => word === debuggerFlag || /^--inspect(?!-port|-publish)/.test(word));
	return isThere ? [] : [debuggerFlag];
}
