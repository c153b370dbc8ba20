/** Ends a command without waiting for stuck reads, and without changing its terminal. */
import { look } from '../os/boundedReads.ts';
import { loadBeside } from '../os/installDir.ts';
import { isTerminal } from './isTerminal.ts';

function loadLeave(): typeof import('./leave.ts') | null {
	try {
		return loadBeside('leave.cjs') as typeof import('./leave.ts');
	} catch {
		// The file is no longer installed: Node ends the process.
		return null;
	}
}

/** If a read in the thread pool is stuck, ends the process at once: Node would wait for the thread. */
export function leaveWhatHangs(status: number): void {
	if (look.stuck.length > 0) loadLeave()?.leave(status);
}

/**
 * Makes this process exit without changing the terminal. At exit Node restores the terminal settings of the start. A
 * process in the background must not do so, and Node aborts if the terminal no longer exists.
 */
export function leaveTerminalAlone(): void {
	if (![0, 1, 2].some(isTerminal)) return;
	process.on('exit', (status) => loadLeave()?.leave(status));
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		process.on(name, () => {
			// If the command has its own handler, that handler ends the process.
			if (process.listenerCount(name) === 1) loadLeave()?.dieOf(name);
		});
	}
}
