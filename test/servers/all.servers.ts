/** Every server, unchanged, replaced again and again under load. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesAtRest, until } from '../support/proc.ts';
import { environment, kill, root, run, scratch } from '../support/program.ts';
import { type Kind, lineAt, type Recipe, recipes, type Slot } from './recipes.ts';
import { freePort, isInstalled, path, processesIn, seen, startLoad } from './running.ts';

const rotations = 10;
/** Before the rotation of this number a version that can't serve is tried. */
const spoiled = 6;

describe.each(recipes)('$name', (recipe) => {
	const kinds = Object.keys(recipe.lines) as Kind[];
	const lost = recipe.closes ? `no request but on ${recipe.closes} connections that it closes by itself` : 'no request';
	const title = `loses ${lost} in ${rotations} rotations and one that fails, on ${kinds.join(' and on ')}`;
	const here = isInstalled(recipe);
	it.skipIf(!here)(here ? title : `${title} (left out: apt-get install ${recipe.needs.packages})`, async () => {
		recipe.prepare?.(scratch());
		await Promise.all(kinds.map((kind) => rotate(recipe, kind)));
	});
});

describe('docs/servers.md', () => {
	const page = readFileSync(join(root, 'docs/servers.md'), 'utf8');
	it.each(recipes)('has the lines of $name, as they are run here', ({ lines, accepting }) => {
		for (const line of [...Object.values(lines), accepting]) expect(page).toContain(line);
	});
});

async function rotate(recipe: Recipe, kind: Kind) {
	const folder = scratch();
	const address = kind === 'tcp' ? `127.0.0.1:${await freePort()}` : join(folder, 'app.sock');
	const place: Slot = { folder, kind, address };
	recipe.deploy(place, 'version-1');
	const program = run(['-c', lineAt(recipe.lines[kind] ?? '', place).replace('socketmaster', 'exec socketmaster')], {
		command: '/bin/sh',
		cwd: folder,
		// Python would take a module of the same second and size for the one it has compiled.
		env: environment({ PATH: path, PWD: folder, PYTHONDONTWRITEBYTECODE: '1' }),
	});
	await seen(program, /^Generation 1 is up/);
	const before = { files: await filesAtRest(program.pid), socket: kind === 'unix' ? statSync(address).ino : null };
	const load = startLoad(address);
	await load.answered('version-1');

	let generation = 1;
	for (let rotation = 1; rotation <= rotations; rotation += 1) {
		if (rotation === spoiled) {
			recipe.spoil(place);
			const serving = generation;
			generation += 1;
			program.signal('SIGHUP');
			await seen(program, new RegExp(`^Generation ${generation} failed(: .*)?; generation ${serving} keeps serving$`));
		}
		recipe.deploy(place, `version-${rotation + 1}`);
		const old = processesIn(folder, program);
		generation += 1;
		program.signal('SIGHUP');
		const up = await seen(
			program,
			new RegExp(`^Generation ${generation} is up \\([\\d, ]+\\); sending SIG${recipe.signal} to ([\\d, ]+)$`),
		);
		for (const leader of up[1]?.split(', ') ?? []) {
			const [, how] = await seen(program, new RegExp(`^${leader} (exit status .*|signal: .*)$`));
			expect(how).toMatch(recipe.leaves ?? /^exit status 0$/);
		}
		await until(`${recipe.name} on ${kind}: ${old} gone`, () => !old.some((pid) => kill(pid, 0)));
		await load.answered(`version-${rotation + 1}`);
	}

	const { requests, failures, closed } = await load.finish();
	console.log(
		`${recipe.name} on ${kind}: ${requests} requests, ${failures.length} failed, ${closed.kept} on kept connections and ${closed.new} on new ones that were closed`,
	);
	expect(failures, kind).toEqual([]);
	if (!recipe.closes) expect(closed.kept, kind).toBe(0);
	if (recipe.closes !== 'kept and new') expect(closed.new, kind).toBe(0);
	expect(requests).toBeGreaterThan(rotations * 10);
	expect(await filesAtRest(program.pid)).toEqual(before.files);
	if (kind === 'unix') expect(statSync(address).ino).toBe(before.socket);

	program.signal('SIGTERM');
	await until(`${recipe.name} on ${kind}: the supervisor ended`, () => program.process.exitCode !== null);
	expect((await program.ended).status).toBe(0);
	await until('no process left', () => processesIn(folder, program).length === 0);
	expect(existsSync(address)).toBe(false);
}
