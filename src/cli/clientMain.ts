/** The client commands. They are a separate bundle, which the launcher loads instead of the supervisor's bundle. */
import { leaveTerminalAlone } from '../effects/terminal/leaving.ts';
import { runRotate } from './commands/rotate.ts';
import { runStatus } from './commands/status.ts';
import { runStop } from './commands/stop.ts';
import { runUpgrade } from './commands/upgrade.ts';
import type { ClientCommand } from './commandTable.ts';

// If the reader of the output has exited (EPIPE), the command continues and reports its own exit status.
for (const out of [process.stdout, process.stderr]) out.on('error', () => {});

leaveTerminalAlone();

/** The commands of the table whose bundle is `client`. */
export const commands: Record<ClientCommand, (words: string[]) => Promise<void>> = {
	rotate: runRotate,
	status: runStatus,
	stop: runStop,
	upgrade: runUpgrade,
};
