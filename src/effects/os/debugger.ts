/**
 * Keeps Node's debugger closed. Node opens the debugger on a SIGUSR1 that arrives before the program handles the
 * signal. Any user of the machine can connect to an open debugger.
 */

const disableFlag = '--disable-sigusr1';

/**
 * Every Node has a flag for the debugger's address. No machine has this address (240.0.0.0/4 is reserved, RFC 1112), so
 * Node fails to open the debugger. bin/socketmaster starts with this flag: it does not know the version of Node.
 */
const unreachableFlag = '--inspect-port=240.0.0.1:1024';

/** The flag that keeps the debugger of this Node closed. */
export const debuggerFlag = process.allowedNodeEnvironmentFlags.has(disableFlag) ? disableFlag : unreachableFlag;

/**
 * Arguments, without argv[0], that start another program as this program was started. An older Node exits if a flag is
 * unknown. So any Node other than the running binary gets the flag that all versions accept.
 * @param isSame whether the running Node binary starts the other program
 */
export function withDebuggerFlag(args: (string | Buffer)[], isSame: boolean): (string | Buffer)[] {
	const wantsDebugger = process.execArgv.some((arg) => /^--inspect(?!-port|-publish)/.test(arg));
	const flag = isSame ? debuggerFlag : unreachableFlag;
	const own = args.slice(0, process.execArgv.length).filter((arg) => arg !== disableFlag && arg !== unreachableFlag);
	return [...(wantsDebugger ? [] : [flag]), ...own, ...args.slice(process.execArgv.length)];
}
