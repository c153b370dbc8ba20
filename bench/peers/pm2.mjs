/** pm2 of npm, in a folder of its own that stays for the next run. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @returns the path of its program */
export function installPm2() {
	const place = join(tmpdir(), 'socketmaster-bench-pm2');
	const program = join(place, 'node_modules/.bin/pm2');
	if (!existsSync(program)) {
		mkdirSync(place, { recursive: true });
		writeFileSync(join(place, 'package.json'), '{}');
		execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', 'pm2'], { cwd: place, stdio: 'ignore' });
	}
	return program;
}
