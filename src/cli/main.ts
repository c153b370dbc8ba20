/** The executable. */
import { printer } from '../effects/log/printer.ts';
import { releaseSignals } from '../effects/os/signals.ts';
import { preflightVariable } from '../effects/upgrade/preflight.ts';
import { runDaemon } from './daemon.ts';
import { readCommandLine } from './flags.ts';
import { checkFlight } from './preflight.ts';
import { runReplay } from './replay.ts';
import { version } from './version.ts';

const words = process.argv.slice(2);
if (words[0] === 'replay') {
	releaseSignals();
	void runReplay(words.slice(1), version);
} else supervise();

function supervise() {
	const request = readCommandLine(words, version);
	if ('print' in request) return finish(request.print, request.to === 'stdout' ? 1 : 2, request.status);
	const offered = process.env[preflightVariable];
	if (offered === undefined) return void runDaemon(request.run);
	const problem = checkFlight(offered, request.run);
	finish(problem === null ? '' : `${problem}\n`, 2, problem === null ? 0 : 1);
}

function finish(text: string, fd: number, status: number) {
	const out = printer(fd);
	out.print(text);
	out.flush();
	process.exit(status);
}
