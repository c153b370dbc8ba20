/**
 * A server under load, and at random all that can befall its supervisor: deploys, broken ones, upgrades, kill -9 and a
 * start, processes stopped for a while, a log that nobody reads, a disk that is full, fds that are scarce, a journal that is
 * truncated, a command whose file system does not answer, a package that is removed, a terminal that goes away. At the end no
 * request has failed, whoever asked for a rotation was told what became of it, no line is missing but what docs/recovery.md
 * allows, and nothing is left over.
 * Usage: npm run chaos [-- -minutes=N -seed=S -workers=N -ready=WHAT -respawn=MILLIS -check=PATH -bake=MILLIS -user=NAME -capabilities=-sys_ptrace
 * -hidepid]; the last three take root.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync,
	closeSync,
	constants,
	cpSync,
	existsSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const options = Object.fromEntries(process.argv.slice(2).map((word) => word.replace(/^-+/, '').split('=')));
const minutes = Number(options.minutes ?? 1);
const seed = Number(options.seed ?? Date.now() % 1_000_000);
const workers = Number(options.workers ?? 1);
const ready = options.ready ?? 'wait';
// What must say that it is up, or be seen to accept, has time for that.
const boot = ready === 'wait' ? 150 : 5000;
const root = fileURLToPath(new URL('../..', import.meta.url));
const isRoot = process.getuid() === 0;

const folder = mkdtempSync(join(tmpdir(), 'socketmaster-chaos-'));
// Another user's children pass through it.
chmodSync(folder, 0o755);
const [disk, fifo, log, broken, socket, control, installed] = [
	...['disk', 'fifo', 'log', 'broken', 'app.sock', 'control', 'package'],
].map((name) => join(folder, name));
const journal = join(disk, 'journal');
const command = join(folder, 'app.sh');
const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, CHATTY: '5', BROKEN: broken };

/** mulberry32 */
let state = seed;
function random() {
	state = (state + 0x6d2b79f5) | 0;
	let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
	mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
	return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
}

const wait = (millis) => new Promise((resolve) => setTimeout(resolve, millis));
const problems = [];
const counts = {};

async function until(what, condition, seconds = 20) {
	for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
		if (condition()) return true;
		await wait(10);
	}
	problems.push(`${what} did not come true in ${seconds} s`);
	return false;
}

execFileSync('mkdir', [disk]);
// A file of its own: one that is frozen is so for nobody else.
const says = `python3 ${join(root, 'test/fixtures/say.py')} READY=1 3>&- &\n`;
writeFileSync(
	command,
	`#!/bin/sh\n[ -e "$BROKEN" ] && exit 3\n${ready === 'notify' ? says : ''}exec ${join(root, 'test/fixtures/server.mjs')}\n`,
	{ mode: 0o755 },
);
if (isRoot) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', disk]);
execFileSync('mkfifo', [fifo]);
// Held open for both, so that neither a reader nor a writer that is gone ends it.
const pipe = openSync(fifo, constants.O_RDWR);
const reader = spawn('sh', ['-c', `exec cat "${fifo}" > "${log}"`], { stdio: 'ignore' });
const text = () => (existsSync(log) ? readFileSync(log, 'latin1') : '');

// An installation of its own, which can be taken away.
for (const part of [
	'bin',
	'dist',
	'package.json',
	...['koffi', '@koromix', 'pino'].map((name) => `node_modules/${name}`),
])
	cpSync(join(root, part), join(installed, part), { recursive: true });

/** Puts what follows on a terminal of its own, without rights, and where /proc hides the processes of others. */
const wrapper = [
	...[
		'python3',
		'-c',
		'import os, sys; os.setsid(); os.dup2(os.open(sys.argv[1], os.O_RDWR), 0); os.execvp(sys.argv[2], sys.argv[2:])',
	],
	'TERMINAL',
	...('hidepid' in options
		? ['unshare', '--mount', 'sh', '-c', 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', 'sh']
		: []),
	...(options.capabilities
		? ['setpriv', `--bounding-set=${options.capabilities}`, `--inh-caps=${options.capabilities}`, '--']
		: []),
];

/** Holds a terminal until its stdin ends. */
const terminals =
	'import os, pty, sys\nkept, given = pty.openpty()\nprint(os.ttyname(given), flush=True)\nos.close(given)\nsys.stdin.read()';

let supervisor;
let terminal;
let kills = 0;
/** Children that a kill left untold. */
let untold = 0;
/** Commands that found no supervisor. */
let unanswered = 0;
/** From a kill to the recovery after it. */
const absences = [];
/** The same where the journal was lost meanwhile, and with it what was asked for. */
const losses = [];

async function start() {
	terminal?.stdin.end();
	terminal = spawn('python3', ['-c', terminals], { stdio: ['pipe', 'pipe', 'inherit'] });
	const [name] = await once(terminal.stdout, 'data');
	const args = [
		`-listen=unix://${socket}`,
		`-journal=${journal}`,
		`-control=${control}`,
		`-start=${boot}`,
		`-workers=${workers}`,
		`-ready=${ready}`,
		`-respawn=${options.respawn ?? -1}`,
		...['check', 'bake', 'watchdog'].flatMap((name) => (options[name] ? `-${name}=${options[name]}` : [])),
		...(options.user ? [`-user=${options.user}`] : []),
		`-command=${command}`,
	];
	const [program, ...words] = [...wrapper, join(installed, 'bin/socketmaster'), ...args];
	const put = words.map((word) => (word === 'TERMINAL' ? String(name).trim() : word));
	supervisor = spawn(program, put, { stdio: ['ignore', 'ignore', pipe], env });
	supervisor.ended = once(supervisor, 'exit');
}

/** It obeys: a rotation that is asked for is answered in the journal. */
async function serves(what) {
	const before = promotions();
	supervisor.kill('SIGHUP');
	await until(`a rotation ${what}`, () => promotions() > before);
}

/** Rotations that were asked for by the command, with what came of them. */
const asked = [];

/** Whoever asks is told, whatever becomes of the supervisor meanwhile. */
function ask() {
	const args = ['rotate', `-control=${control}`, '-json', '-timeout=90000'];
	const child = spawn(join(root, 'bin/socketmaster'), args, { stdio: ['ignore', 'pipe', 'pipe'], env });
	let [rotation, words] = ['', ''];
	child.stdout.on('data', (chunk) => {
		rotation += chunk;
	});
	child.stderr.on('data', (chunk) => {
		words += chunk;
	});
	const began = Date.now();
	asked.push(once(child, 'close').then(([status]) => ({ status, rotation, words, began, ended: Date.now() })));
}

async function checkAsked() {
	for (const { status, rotation, words, began, ended } of await Promise.all(asked)) {
		if (losses.some(({ from, to }) => began <= to && ended >= from)) continue;
		const result = rotation && JSON.parse(rotation).result;
		// It was run while there was no supervisor, and says that nothing was asked for.
		const metNobody = absences.some(({ from, to }) => began <= to && ended >= from);
		if (status === 3 && metNobody && rotation === '' && /^no supervisor answers/.test(words)) unanswered += 1;
		else if (status === 0 ? result !== 'promoted' : status !== 1 || result !== 'failed')
			problems.push(`rotate ended with ${status}, ${result || 'no rotation'}: ${words}`);
	}
}

function promotions() {
	return (text().match(/Generation \d+ is up/g) ?? []).length;
}

const actions = {
	rotate: () => supervisor.kill('SIGHUP'),
	ask,
	async askAndGo() {
		ask();
		// It is started, has asked, or waits already.
		await wait(random() * 300);
	},
	rotateTwice: () => {
		supervisor.kill('SIGHUP');
		supervisor.kill('SIGHUP');
	},
	async broken() {
		writeFileSync(broken, '');
		const before = (text().match(/failed/g) ?? []).length;
		supervisor.kill('SIGHUP');
		await until('a broken version fails', () => (text().match(/failed/g) ?? []).length > before);
		rmSync(broken);
	},
	async upgrade() {
		const before = (text().match(/Upgraded to|Upgrade (refused|failed)/g) ?? []).length;
		supervisor.kill('SIGUSR2');
		await until('an upgrade', () => (text().match(/Upgraded to|Upgrade (refused|failed)/g) ?? []).length > before);
	},
	async kill() {
		absences.push(await killAnd(() => {}));
	},
	async loseJournal() {
		const bytes = readFileSync(journal);
		const damage = [
			() => rmSync(journal),
			() => truncateSync(journal, 0),
			() => truncateSync(journal, Math.floor(random() * bytes.length)),
			() => writeFileSync(journal, bytes.subarray(bytes.indexOf(10) + 1)),
			() => writeFileSync(journal, bytes.toString('latin1').replaceAll('"journal":5', '"journal":5000'), 'latin1'),
			() => writeFileSync(journal, Buffer.alloc(bytes.length)),
		];
		const pick = damage[Math.floor(random() * damage.length)];
		losses.push(await killAnd(pick));
	},
	async stopSupervisor() {
		supervisor.kill('SIGSTOP');
		supervisor.kill('SIGHUP');
		await wait(random() * 500);
		supervisor.kill('SIGCONT');
	},
	async stopChildren() {
		const children = childrenOfRun();
		for (const pid of children) send(pid, 'SIGSTOP');
		await wait(random() * 300);
		for (const pid of children) send(pid, 'SIGCONT');
	},
	async stallLog() {
		reader.kill('SIGSTOP');
		supervisor.kill('SIGHUP');
		await wait(200 + random() * 1500);
		reader.kill('SIGCONT');
	},
	async fillDisk() {
		if (!isRoot) return;
		spawnSync('sh', ['-c', `cat /dev/zero > ${disk}/filler 2>/dev/null`]);
		supervisor.kill('SIGHUP');
		await wait(random() * 800);
		rmSync(join(disk, 'filler'));
		// A kill before the journal is written again finds too little: docs/journal.md says so.
		await until('the journal is written again', () => {
			const [broken, whole] = [/can't be written/g, /is written again/g].map(
				(words) => (text().match(words) ?? []).length,
			);
			return whole >= broken;
		});
	},
	async truncateJournal() {
		const before = (text().match(/Somebody has truncated/g) ?? []).length;
		truncateSync(journal, 0);
		supervisor.kill('SIGHUP');
		await until('the journal is written anew', () => (text().match(/Somebody has truncated/g) ?? []).length > before);
	},
	async freezeCommand() {
		if (!isRoot) return;
		const freezer = spawn('python3', [join(root, 'test/fixtures/frozen.py'), command], {
			stdio: ['pipe', 'pipe', 'ignore'],
		});
		const [said] = await once(freezer.stdout, 'data');
		if (!String(said).startsWith('frozen')) return;
		supervisor.kill('SIGHUP');
		await wait(random() * 2000);
		const began = performance.now();
		const answered = spawnSync(join(root, 'bin/socketmaster'), ['status', `-control=${control}`, '-json'], { env });
		if (answered.status !== 0) problems.push(`no status while the command is frozen: ${answered.stderr}`);
		if (performance.now() - began > 5000) problems.push('a status took over 5 s while the command was frozen');
		freezer.stdin.end();
		await once(freezer, 'exit');
	},
	async removePackage() {
		renameSync(installed, `${installed}.gone`);
		supervisor.kill('SIGHUP');
		await wait(random() * 800);
		renameSync(`${installed}.gone`, installed);
	},
	async closeTerminal() {
		terminal.stdin.end();
		await wait(random() * 500);
	},
	async scarceFds() {
		const used = readdirSync(`/proc/${supervisor.pid}/fd`).length;
		const limit = (count) => spawnSync('prlimit', ['--pid', String(supervisor.pid), `--nofile=${count}:`]);
		limit(used);
		supervisor.kill('SIGHUP');
		await wait(random() * 500);
		limit(1024);
	},
};

/** Kills the supervisor, and starts another one. @returns from when to when there was none */
async function killAnd(meanwhile) {
	kills += 1;
	const from = Date.now();
	supervisor.kill('SIGKILL');
	await supervisor.ended;
	meanwhile();
	await wait(random() * 100);
	const recoveries = () => (text().match(/Recovered (from|without)/g) ?? []).length;
	const before = recoveries();
	await start();
	await until('a recovery', () => recoveries() > before);
	return { from, to: Date.now() };
}

function send(pid, signal) {
	try {
		process.kill(pid, signal);
	} catch {
		// It has ended.
	}
}

/** All processes that carry the run's name in their environment: the children, and theirs. */
function childrenOfRun() {
	const run = readFileSync(journal, 'latin1').match(/"run":"([^"]+)"/)?.[1];
	return readdirSync('/proc').flatMap((name) => {
		if (!/^\d+$/.test(name)) return [];
		try {
			return readFileSync(`/proc/${name}/environ`, 'latin1').includes(`SOCKETMASTER_RUN=${run}`) ? [Number(name)] : [];
		} catch {
			return [];
		}
	});
}

const openFds = () => readdirSync(`/proc/${supervisor.pid}/fd`).length;
const memory = () => Number(readFileSync(`/proc/${supervisor.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]);

/** Nothing is under way: one generation serves, alone. */
async function rest() {
	for (const pid of untoldChildren()) {
		untold += 1;
		send(pid, 'SIGHUP');
	}
	await until('rest', () => childrenOfRun().length === workers && existsSync(`/proc/${supervisor.pid}/fd`), 60);
	await wait(300);
}

/**
 * A kill between the record that a child is about to be told and the signal itself leaves it untold, for good: at most once
 * was chosen (docs/decisions.md). The log names it, and it has said nothing of being told.
 */
function untoldChildren() {
	const whole = text();
	const named = whole.match(/Still draining: .*$/gm)?.at(-1) ?? '';
	return childrenOfRun().filter((pid) => {
		const life = whole.slice(whole.lastIndexOf(`[${pid}] ready`));
		return named.includes(`${pid} (told`) && !life.includes(`[${pid}] told`);
	});
}

console.log(`chaos: ${minutes} minutes, -seed=${seed}`);
await start();
await until('the first generation', () => promotions() > 0);
const load = spawn(process.execPath, [join(root, 'test/fixtures/load.mjs'), socket, '4'], {
	stdio: ['pipe', 'pipe', 'inherit'],
	env,
});
const loadLines = createInterface({ input: load.stdout })[Symbol.asyncIterator]();
await loadLines.next();
await serves('at the beginning');
await rest();
const first = { fds: openFds(), memory: memory() };

// Whoever may not look at another user's processes can't take them over after a kill, and says so.
if (options.capabilities && options.user) for (const name of ['kill', 'loseJournal']) delete actions[name];
const names = Object.keys(actions);
for (const end = Date.now() + minutes * 60_000; Date.now() < end && problems.length === 0; ) {
	const name = names[Math.floor(random() * names.length)];
	counts[name] = (counts[name] ?? 0) + 1;
	await actions[name]();
	await wait(random() * 300);
	if (supervisor.exitCode !== null || supervisor.signalCode !== null)
		problems.push(`the supervisor ended after ${name}`);
}

if (problems.length === 0) {
	await serves('at the end');
	await rest();
	const last = { fds: openFds(), memory: memory() };
	console.log(`fds ${first.fds} -> ${last.fds}, memory ${first.memory} -> ${last.memory} KiB`);
	// A reader of a stalled log and a second event loop's worth of timers are made once, when they are needed.
	if (last.fds > first.fds + 4) problems.push(`fds grew from ${first.fds} to ${last.fds}`);
	if (last.memory > first.memory * 1.6) problems.push(`memory grew from ${first.memory} to ${last.memory} KiB`);
}
await checkAsked();
load.stdin.end();
const { value } = await loadLines.next();
const { requests, failures } = JSON.parse(value);
const last = childrenOfRun();
supervisor.kill('SIGTERM');
const [status] = await supervisor.ended;
if (status !== 0) problems.push(`the supervisor ended with ${status}`);
await until('every child is gone', () => childrenOfRun().length === 0 || last.length === 0);
for (const failure of failures) problems.push(`a request failed: ${failure}`);
for (const path of [socket, control]) if (existsSync(path)) problems.push(`${path} was left`);
const replayed = spawnSync(join(root, 'bin/socketmaster'), ['replay', journal], {
	encoding: 'utf8',
	env,
	maxBuffer: 1 << 28,
});
if (replayed.status !== 0) problems.push(`the journal does not replay: ${replayed.stderr}`);
for (const name of readdirSync(disk))
	if (name !== 'journal' && (name !== 'journal.bad' || losses.length === 0)) problems.push(`${name} was left`);
await wait(300);
reader.kill('SIGKILL');
const told = check();
closeSync(pipe);
terminal.stdin.end();
if (problems.length > 0) spawnSync('cp', [journal, join(folder, 'journal')]);
if (isRoot) spawnSync('umount', ['-l', disk]);
if (problems.length === 0) rmSync(folder, { recursive: true });
else console.log(`kept: ${folder}`);

console.log(
	JSON.stringify({ seed, minutes, requests, kills, untold, asked: asked.length, unanswered, ...told, actions: counts }),
);
for (const problem of problems) console.log(`PROBLEM: ${problem}`);
console.log(`${problems.length === 0 ? 1 : 0} passed, ${problems.length === 0 ? 0 : 1} failed`);
process.exit(problems.length === 0 ? 0 : 1);

/** Each child's lines are numbered: which are missing, and is any there twice? */
function check() {
	const stories = new Map();
	const whole = text();
	// In half an hour the kernel's numbers come round: a child that is ready is another one than its number was before.
	const lives = new Map();
	for (const [, pid, number] of whole.matchAll(/ \[(\d+)\] (?:ready|line (\d+))$/gm)) {
		if (number === undefined) lives.set(pid, (lives.get(pid) ?? 0) + 1);
		const child = `${pid}, the ${lives.get(pid) ?? 1}. of that number,`;
		if (!stories.has(child)) stories.set(child, []);
		if (number !== undefined) stories.get(child).push(Number(number));
	}
	let [lines, lost, gaps] = [0, 0, 0];
	for (const [pid, numbers] of stories) {
		lines += numbers.length;
		if (new Set(numbers).size !== numbers.length) problems.push(`lines of ${pid} came twice`);
		numbers.forEach((number, index) => {
			const missing = number - (numbers[index - 1] ?? 0) - 1;
			if (missing > 0) gaps += 1;
			if (missing < 0) problems.push(`lines of ${pid} came in another order`);
			lost += Math.max(0, missing);
		});
	}
	// A kill may cost each child that prints one chunk, that was read and not yet written.
	if (gaps > 2 * kills) problems.push(`${lost} lines lost in ${gaps} gaps at ${kills} kills`);
	const dropped = whole.match(/log lines were dropped/g);
	if (dropped) problems.push('lines were dropped');
	if (untold > 1 + kills / 100) problems.push(`${untold} children were left untold at ${kills} kills`);
	return { children: stories.size, lines, lost, gaps, logBytes: statSync(log).size };
}
