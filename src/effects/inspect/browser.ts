/** Opens a page in the operator's browser. */
import { spawn } from 'node:child_process';

/** @param failed told why, when there is nothing to open it with */
export function openBrowser(url: string, failed: (why: string) => void): void {
	const opener = spawn('xdg-open', [url], { detached: true, stdio: 'ignore' });
	opener.on('error', (error) => failed(error.message));
	opener.on('exit', (status) => {
		if (status !== 0) failed(`xdg-open ended with ${status}`);
	});
	opener.unref();
}
