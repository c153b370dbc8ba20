/** The executable. */
import { writeSync } from 'node:fs';
import { runDaemon } from './daemon.ts';
import { readCommandLine } from './flags.ts';
import { version } from './version.ts';

const request = readCommandLine(process.argv.slice(2), version);
if ('print' in request) {
	writeSync(request.to === 'stdout' ? 1 : 2, request.print);
	process.exitCode = request.status;
} else {
	void runDaemon(request.run);
}
