/** Node opens a debugger on a SIGUSR1 that comes before the program can listen, and any user of the machine could use it. */

const never = '--disable-sigusr1';

/**
 * An older Node can only be told where to open it: at an address that no machine has (240.0.0.0/4 is reserved, RFC 1112),
 * so that it fails to. bin/socketmaster has the same words.
 */
const nowhere = '--inspect-port=240.0.0.1:1024';

/** The flag that keeps a Node from it. */
export const debuggerFlag = process.allowedNodeEnvironmentFlags.has(never) ? never : nowhere;

/**
 * The words of a command line that starts another program as this one was started, after its name. An older Node ends where
 * it meets a flag that it does not know: unless it is the very Node that runs here, it is told in the way that all know.
 * @param isSame whether it is that Node
 */
export function withDebuggerFlag(words: (string | Buffer)[], isSame: boolean): (string | Buffer)[] {
	const wantsDebugger = process.execArgv.some((word) => /^--inspect(?!-port|-publish)/.test(word));
	const flag = isSame ? debuggerFlag : nowhere;
	const own = words.slice(0, process.execArgv.length).filter((word) => word !== never && word !== flag);
	return [...(wantsDebugger ? [] : [flag]), ...own, ...words.slice(process.execArgv.length)];
}
