/** The tests run the program as a user does: built. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export function setup() {
	const root = fileURLToPath(new URL('../..', import.meta.url));
	execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });
}
