/** Starts the operator's browser. */
import { spawn } from 'node:child_process';

/** Opens a page in the operator's browser. @param failed called with the reason if xdg-open fails */
export function openBrowser(url: string, failed: (why: string) => void): void {
	const opener = spawn('xdg-open', [url], { detached: true, stdio: 'ignore' });
	opener.on('error', (error) => failed(error.message));
	opener.on('exit', (status) => {
		if (status !== 0) failed(`xdg-open ended with ${status}`);
	});
	opener.unref();
}
