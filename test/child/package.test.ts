/** The modules as they are installed: found by their names, with types, and without a dependency. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { environment, root, scratch } from '../support/program.ts';

/** A project in which the package is installed, without any other. */
function project(files: Record<string, string>) {
	const folder = scratch();
	const installed = join(folder, 'node_modules/socketmaster');
	mkdirSync(installed, { recursive: true });
	for (const name of ['dist', 'package.json']) symlinkSync(join(root, name), join(installed, name));
	for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
	return folder;
}

const runIn = (folder: string, ...args: string[]) => {
	const { status, stdout, stderr } = spawnSync(process.execPath, ['--preserve-symlinks', ...args], {
		cwd: folder,
		env: environment(),
		encoding: 'utf8',
	});
	return { status, text: stdout + stderr };
};

it('are imported by their names', () => {
	const folder = project({
		'app.mjs': `
import 'socketmaster/adopt';
import * as child from 'socketmaster/child';
import * as testing from 'socketmaster/testing';
console.log(Object.keys(child).sort().join(), Object.keys(testing).join());
`,
	});
	const { status, text } = runIn(folder, 'app.mjs');
	expect(text).toBe('isSupervised,listen,ready,status,stopping,watchdog simulate\n');
	expect(status).toBe(0);
});

it('have types, strict ones too', () => {
	const folder = project({
		'app.ts': `
import { createServer, type Server } from 'node:http';
import { listen, ready, stopping } from 'socketmaster/child';
import { type Rotation, simulate } from 'socketmaster/testing';
const server: Server = await listen(createServer(), { port: 8080, index: 0 });
const isTold: boolean = await ready();
await stopping(server, { idleMs: 1000 });
const last: Rotation | undefined = simulate({ bake: 5000 }).rotations().at(-1);
// @ts-expect-error: there is no such field
simulate({ bakes: 5000 });
console.log(isTold, last?.result);
`,
		'tsconfig.json': JSON.stringify({
			compilerOptions: {
				module: 'nodenext',
				target: 'es2022',
				strict: true,
				noEmit: true,
				types: ['node'],
				typeRoots: [join(root, 'node_modules/@types')],
				skipLibCheck: false,
			},
			include: ['app.ts'],
		}),
		'package.json': '{"type":"module"}',
	});
	const { status, text } = runIn(folder, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.');
	expect(text).toBe('');
	expect(status).toBe(0);
});
