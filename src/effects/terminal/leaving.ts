/** How a command leaves a terminal. */
import { isatty } from 'node:tty';
import { look } from '../os/boundedReads.ts';
import { loadBeside } from '../os/installDir.ts';

function end(): typeof import('./leave.ts') | null {
	try {
		return loadBeside('leave.cjs') as typeof import('./leave.ts');
	} catch {
		// It is not installed any more: as Node ends.
		return null;
	}
}

/** Ends a command that still waits for something which does not come. */
export function leaveWhatHangs(status: number): void {
	if (look.stuck.length > 0) end()?.leave(status);
}

/**
 * Has this process end without touching its terminal: Node sets it back to what it was at the start, which is not ours to do
 * from the background, and aborts where it is gone by then.
 */
export function leaveTerminalAlone(): void {
	if (![0, 1, 2].some(isatty)) return;
	process.on('exit', (status) => end()?.leave(status));
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		process.on(name, () => {
			// Whoever has a handler of its own ends in its own way.
			if (process.listenerCount(name) === 1) end()?.dieOf(name);
		});
	}
}
