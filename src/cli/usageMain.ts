/** Prints the help or the version. It is a separate bundle: the launcher loads nothing of the supervisor for it. */
import { printer } from '../effects/log/printer.ts';
import { leaveTerminalAlone } from '../effects/terminal/leaving.ts';
import { readCommandLine } from './flags.ts';
import { version } from './version.ts';

leaveTerminalAlone();
const request = readCommandLine(process.argv.slice(2), version);
if ('print' in request) {
	const out = printer(request.to === 'stdout' ? 1 : 2);
	out.print(request.print);
	out.flush();
	process.exitCode = request.status;
}
