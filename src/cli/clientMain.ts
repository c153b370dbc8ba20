/** The commands that ask a supervisor: a program of its own, which the launcher loads instead of a supervisor's. */
import { leaveTerminalAlone } from '../effects/terminal/leaving.ts';
import { runRotate } from './commands/rotate.ts';
import { runStatus } from './commands/status.ts';
import { runStop } from './commands/stop.ts';
import { runUpgrade } from './commands/upgrade.ts';
import type { ClientCommand } from './commandTable.ts';

// Where nobody reads, what is done goes on, and its status is its own.
for (const out of [process.stdout, process.stderr]) out.on('error', () => {});

leaveTerminalAlone();

/** Those of the table whose bundle is the client's. */
export const commands: Record<ClientCommand, (words: string[]) => Promise<void>> = {
	rotate: runRotate,
	status: runStatus,
	stop: runStop,
	upgrade: runUpgrade,
};
