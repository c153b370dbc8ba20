/** Every server, unchanged, replaced again and again under load. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { filesOf, until } from '../support/proc.ts';
import { environment, kill, type Program, root, run, scratch } from '../support/program.ts';
import { type Kind, lineAt, type Place, type Recipe, recipes } from './recipes.ts';

const rotations = 10;
/** Before the rotation of this number a version that can't serve is tried. */
const spoiled = 6;

const path = `${join(root, 'bin')}:${process.env.PATH}:/usr/sbin`;
const isInstalled = ({ needs }: Recipe) =>
	spawnSync('sh', ['-c', needs.command], { env: environment({ PATH: path }) }).status === 0;

describe.each(recipes)('$name', (recipe) => {
	const kinds = Object.keys(recipe.lines) as Kind[];
	const lost = recipe.closes ? `no request but on ${recipe.closes} connections that it closes by itself` : 'no request';
	const title = `loses ${lost} in ${rotations} rotations and one that is given up, on ${kinds.join(' and on ')}`;
	const here = isInstalled(recipe);
	it.skipIf(!here)(here ? title : `${title} (left out: apt-get install ${recipe.needs.packages})`, async () => {
		recipe.prepare?.(scratch());
		await Promise.all(kinds.map((kind) => rotate(recipe, kind)));
	});
});

describe('docs/servers.md', () => {
	const page = readFileSync(join(root, 'docs/servers.md'), 'utf8');
	it.each(recipes)('has the lines of $name, as they are run here', ({ lines }) => {
		for (const line of Object.values(lines)) expect(page).toContain(line);
	});
});

async function rotate(recipe: Recipe, kind: Kind) {
	const folder = scratch();
	const address = kind === 'tcp' ? `127.0.0.1:${await freePort()}` : join(folder, 'app.sock');
	const place: Place = { folder, kind, address };
	recipe.deploy(place, 'version-1');
	const program = run(['-c', lineAt(recipe.lines[kind] ?? '', place).replace('socketmaster', 'exec socketmaster')], {
		command: '/bin/sh',
		cwd: folder,
		// Python would take a module of the same second and size for the one it has compiled.
		env: environment({ PATH: path, PWD: folder, PYTHONDONTWRITEBYTECODE: '1' }),
	});
	await seen(program, /^Generation 1 is up/);
	const before = { files: filesOf(program.pid), socket: kind === 'unix' ? statSync(address).ino : null };
	const load = startLoad(address);
	await load.answered('version-1');

	let generation = 1;
	for (let rotation = 1; rotation <= rotations; rotation += 1) {
		if (rotation === spoiled) {
			recipe.spoil(place);
			const serving = generation;
			generation += 1;
			program.signal('SIGHUP');
			await seen(
				program,
				new RegExp(`^Generation ${generation} given up(: .*)?; generation ${serving} goes on serving$`),
			);
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
	expect(filesOf(program.pid)).toEqual(before.files);
	if (kind === 'unix') expect(statSync(address).ino).toBe(before.socket);

	program.signal('SIGTERM');
	await until(`${recipe.name} on ${kind}: the supervisor ended`, () => program.process.exitCode !== null);
	expect((await program.ended).status).toBe(0);
	await until('no process left', () => processesIn(folder, program).length === 0);
	expect(existsSync(address)).toBe(false);
}

/** Awaits a line of the log, and says what the log says where it does not come. */
function seen(program: Program, pattern: RegExp): Promise<RegExpMatchArray> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => {
			const end = program
				.lines()
				.filter((line) => !line.includes('"GET /'))
				.slice(-60);
			reject(new Error(`no line ${pattern} within 20 s; the log ends with:\n${end.join('\n')}`));
		}, 20_000);
		program
			.logged(pattern)
			.then(resolve, reject)
			.finally(() => clearTimeout(timer));
	});
}

interface Result {
	requests: number;
	failures: string[];
	/** Requests on connections that were closed before an answer began, and that were made once more. */
	closed: { kept: number; new: number };
}

function startLoad(address: string) {
	const child = spawn(process.execPath, [join(import.meta.dirname, 'load.mjs'), address], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	onTestFinished(() => void child.kill());
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	const next = async () => (await lines.next()).value ?? '';
	return {
		/** Resolves when a version has answered; each of them is to be awaited, in their order. */
		async answered(word: string): Promise<void> {
			expect(await next()).toBe(word);
		},
		async finish(): Promise<Result> {
			child.stdin.end();
			return JSON.parse(await next());
		},
	};
}

/** Whoever works in a folder: a server and all that it has started, also what has left its family. */
function processesIn(folder: string, supervisor: Program): number[] {
	const pids = readdirSync('/proc').map(Number).filter(Boolean);
	return pids.filter((pid) => pid !== supervisor.pid && folderOf(pid) === folder);
}

function folderOf(pid: number): string {
	try {
		return readlinkSync(`/proc/${pid}/cwd`);
	} catch {
		return '';
	}
}

/** A port that was free a moment ago: some servers have theirs in their configuration. */
function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = createServer().on('error', reject);
		server.listen(0, '127.0.0.1', () => {
			const address = server.address();
			server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
		});
	});
}
