/** The main program: the daemon, the replay command, or the inspector. */
import { printer } from '../effects/log/printer.ts';
import { exitNow } from '../effects/os/exit.ts';
import { loadBeside } from '../effects/os/installDir.ts';
import { releaseSignals } from '../effects/os/signals.ts';
import { leaveTerminalAlone } from '../effects/terminal/leaving.ts';
import { answerPreflight } from '../effects/upgrade/preflight.ts';
import { runReplay } from './commands/replayJournal.ts';
import { commands, isCommand } from './commandTable.ts';
import { checkInstallation, runDaemon } from './daemon.ts';
import { readCommandLine } from './flags.ts';
import { version } from './version.ts';

const words = process.argv.slice(2);
const [command = ''] = words;
const bundle = isCommand(command) ? commands[command].bundle : null;
if (bundle === 'daemon') {
	releaseSignals();
	leaveTerminalAlone();
	void runReplay(words, version);
} else if (bundle === 'inspector') {
	releaseSignals();
	leaveTerminalAlone();
	void inspector().runInspector(words, version);
} else void supervise();

/** Loads the inspector from its own bundle: a supervisor does not load the inspector's code. */
function inspector() {
	return loadBeside('inspect.cjs') as typeof import('./inspectMain.ts');
}

async function supervise() {
	const request = readCommandLine(words, version);
	if ('print' in request) return finish(request.print, request.to === 'stdout' ? 1 : 2, request.status);
	const checked = await answerPreflight(() => checkInstallation(request.run));
	if (checked) return finish(`${checked.answer}\n`, 2, checked.isSound ? 0 : 1);
	void runDaemon(request.run);
}

function finish(text: string, fd: number, status: number) {
	const out = printer(fd);
	out.print(text);
	out.flush();
	exitNow(status);
}
