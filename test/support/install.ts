/** An installation of its own: the launcher, the built program, and the modules it needs. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './program.ts';

/** Copies the built program, as another version. */
export function install(folder: string, version: string): void {
	copyLauncher(folder);
	cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
	const bundle = join(folder, 'dist/socketmaster.cjs');
	const { version: built } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
	const mark = version.padEnd(16, '.');
	const code = readFileSync(bundle, 'utf8').replace(/^\/\*\w{16}/, `/*${mark}`);
	writeFileSync(bundle, code.replaceAll(JSON.stringify(built), JSON.stringify(version)));
}

/** Builds the program so that it throws where SOCKETMASTER_FAULT_AT says. @returns its executable */
export function installFaulty(folder: string): string {
	copyLauncher(folder);
	execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--faults', join(folder, 'dist')]);
	return join(folder, 'bin/socketmaster');
}

function copyLauncher(folder: string) {
	mkdirSync(folder, { recursive: true });
	cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
	symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
}
