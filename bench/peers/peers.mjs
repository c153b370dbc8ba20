/**
 * The scoreboard: one server and one load under several supervisors, and what their deploy scripts are told.
 * Server::Starter and systemd are Debian's, pm2 is npm's, in a folder of its own; PEER names the original, with its five flags.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { folder, isQuick, root, wait } from '../support.mjs';
import { installPm2 } from './pm2.mjs';

const own = fileURLToPath(new URL('.', import.meta.url));
const server = join(own, 'server.mjs');
const socketmaster = join(root, 'bin/socketmaster');
const port = 18_400 + (process.pid % 500);
const listen = `tcp4://127.0.0.1:${port}`;
const kindFile = join(folder, 'kind');
const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, KIND_FILE: kindFile, PORT: String(port) };

/** How long a deploy may take, in milliseconds: what is not known then is told as that. A default of ours is a minute. */
let killTimeoutMs = 12_000;

const kinds = [
	'is good',
	'dies at once',
	'dies after 1.5 s',
	'answers 500',
	'boots for 2.5 s',
	'is never ready',
	'listens on another port',
	'says nothing, and boots for 5 s',
];

/** Runs to its end. @returns what a deploy script would make of it */
async function told(command, args, options = {}) {
	const child = spawn(command, args, { env, stdio: 'ignore', ...options });
	const late = new Promise((resolve) => setTimeout(resolve, killTimeoutMs, null).unref());
	const ended = await Promise.race([once(child, 'exit'), late]);
	if (ended === null) {
		child.kill('SIGKILL');
		return `nothing, for ${killTimeoutMs / 1000} s`;
	}
	return ended[0] === 0 ? 'success' : `failure (${ended[0]})`;
}

/** A program that is started again when it is killed, as a service manager would. */
function managed(command, args) {
	let child = null;
	let isWanted = true;
	const begin = () => {
		child = spawn(command, args, { env, stdio: 'ignore', detached: true });
		child.on('exit', () => {
			if (isWanted) setTimeout(begin, 100);
		});
	};
	begin();
	return {
		pid: () => child.pid,
		signal: (name) => child.kill(name),
		stop: async () => {
			isWanted = false;
			if (child.exitCode !== null || child.signalCode !== null) return;
			child.kill('SIGTERM');
			await once(child, 'exit');
		},
	};
}

/** Only those that lead a session for this benchmark, and what they have left. */
function sweep() {
	for (const pid of execFileSync('ps', ['-eo', 'pid='], { encoding: 'utf8' }).split('\n').map(Number)) {
		try {
			if (pid && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`KIND_FILE=${kindFile}`))
				process.kill(pid, 'SIGKILL');
		} catch {
			// It is gone.
		}
	}
}

function ours(name, flags) {
	return {
		name,
		start() {
			const control = join(folder, 'control');
			const slots = [`-control=${control}`, `-journal=${join(folder, 'journal')}`];
			rmSync(join(folder, 'journal'), { force: true });
			const running = managed(socketmaster, [
				`-listen=${listen}`,
				'-signal=TERM',
				...flags,
				...slots,
				`-command=${server}`,
			]);
			return {
				deploy: () => told(socketmaster, ['rotate', `-control=${control}`]),
				crash: () => running.signal('SIGKILL'),
				stop: running.stop,
			};
		},
	};
}

const original = {
	name: 'the original',
	isThere: Boolean(process.env.PEER),
	start() {
		const args = [`-listen=tcp://127.0.0.1:${port}`, '-start=800', `-command=${server}`];
		const running = managed(process.env.PEER, args);
		return {
			deploy: async () => {
				running.signal('SIGHUP');
				return 'nothing';
			},
			crash: () => running.signal('SIGKILL'),
			stop: running.stop,
		};
	},
};

const starter = {
	name: 'Server::Starter',
	isThere: existsSync('/usr/bin/start_server'),
	start() {
		const files = [`--pid-file=${join(folder, 'pid')}`, `--status-file=${join(folder, 'status')}`];
		const running = managed('start_server', [`--port=127.0.0.1:${port}`, '--interval=1', ...files, '--', server]);
		return {
			deploy: () => told('start_server', ['--restart', ...files]),
			crash: () => running.signal('SIGKILL'),
			stop: running.stop,
		};
	},
};

const pm2 = {
	name: 'pm2 (wait_ready)',
	isThere: true,
	start() {
		const program = installPm2();
		const own = { ...env, PM2_HOME: join(folder, 'pm2') };
		const options = { env: own };
		const config = join(folder, 'ecosystem.config.cjs');
		const app = {
			name: 'app',
			script: server,
			exec_mode: 'cluster',
			instances: 1,
			wait_ready: true,
			listen_timeout: 4000,
			kill_timeout: 5000,
		};
		writeFileSync(config, `module.exports = ${JSON.stringify({ apps: [app] })}`);
		spawnSync(program, ['start', config], { env: own, stdio: 'ignore' });
		return {
			deploy: () => told(program, ['reload', 'app'], options),
			crash: () => {
				process.kill(Number(readFileSync(join(own.PM2_HOME, 'pm2.pid'), 'utf8')), 'SIGKILL');
				// What a service manager would do.
				setTimeout(() => spawn(program, ['start', config], { env: own, stdio: 'ignore' }), 100);
			},
			stop: async () => void spawnSync(program, ['kill'], { env: own, stdio: 'ignore' }),
		};
	},
};

/** Answers on the control of a systemd in namespaces of its own: each line is a command of systemctl. */
const systemd = {
	name: 'systemd (restart, socket unit)',
	isThere: process.getuid() === 0 && existsSync('/lib/systemd/systemd'),
	async start() {
		const script = join(folder, 'inside.sh');
		writeFileSync(
			script,
			`mkdir -p /run/bench
cat >/run/systemd/system/app.socket <<UNIT
[Socket]
ListenStream=127.0.0.1:${port}
UNIT
cat >/run/systemd/system/app.service <<UNIT
[Unit]
StartLimitIntervalSec=0
[Service]
Environment=KIND_FILE=/mnt/kind NODE_EXTRA_CA_CERTS=
ExecStart=${process.execPath} /mnt/server.mjs
Restart=on-failure
RestartSec=100ms
UNIT
systemctl daemon-reload
systemctl start app.socket app.service
echo ready
while read -r line; do systemctl $line; echo "status $?"; done`,
		);
		writeFileSync(join(folder, 'server.mjs'), readFileSync(server));
		const child = spawn('bash', [join(root, 'test/support/systemd.sh'), script], {
			env,
			stdio: ['pipe', 'pipe', 'ignore'],
		});
		let text = '';
		child.stdout.setEncoding('utf8').on('data', (chunk) => {
			text += chunk;
		});
		const updated = async (pattern, millis) => {
			for (const end = performance.now() + millis; performance.now() < end; await wait(20)) {
				const found = pattern.exec(text);
				if (found) {
					text = text.slice(found.index + found[0].length);
					return found;
				}
			}
			return null;
		};
		if (!(await updated(/ready\n/, 40_000))) throw new Error('systemd did not come up');
		return {
			deploy: async () => {
				child.stdin.write('restart app.service\n');
				const found = await updated(/status (\d+)\n/, killTimeoutMs);
				return found === null
					? `nothing, for ${killTimeoutMs / 1000} s`
					: found[1] === '0'
						? 'success'
						: `failure (${found[1]})`;
			},
			stop: async () => {
				child.stdin.end();
				await once(child, 'exit');
			},
		};
	},
};

const contenders = [
	ours('socketmaster -ready=notify -respawn=100', ['-ready=notify', '-start=4000', '-respawn=100']),
	ours('socketmaster -ready=accept', ['-ready=accept']),
	ours('socketmaster -ready=accept -bake=3000', ['-ready=accept', '-bake=3000']),
	ours('socketmaster -ready=accept -check=/ -bake=3000', ['-ready=accept', '-check=/', '-bake=3000']),
	ours('socketmaster -start=800', ['-start=800']),
	ours('socketmaster, no flag', []),
	original,
	starter,
	pm2,
	systemd,
].filter(({ isThere = true }) => isThere);

async function measure(contender, kind) {
	killTimeoutMs = ['is never ready', 'listens on another port'].includes(kind) ? 70_000 : 12_000;
	writeFileSync(kindFile, 'is good');
	const running = await contender.start();
	await untilServed();
	const load = spawn(process.execPath, [join(own, 'load.mjs'), String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
	let seen = '';
	load.stdout.setEncoding('utf8').on('data', (chunk) => {
		seen += chunk;
	});
	await wait(1000);
	let words = '';
	const isCrash = kind === 'kill -9';
	if (isCrash) {
		running.crash();
		await wait(1500);
		words = await running.deploy();
	} else {
		writeFileSync(kindFile, kind);
		for (let turn = 0; turn < (kind === 'is good' && !isQuick ? 5 : 1); turn += 1) words = await running.deploy();
	}
	await wait(isQuick ? 1000 : 4000);
	load.stdin.end();
	await once(load, 'exit');
	await running.stop();
	sweep();
	await wait(200);
	const { requests, failed, worst } = JSON.parse(seen);
	return { requests, failed, worst, words };
}

async function untilServed() {
	for (let tries = 0; tries < 1000; tries += 1) {
		const { ok } = await fetch(`http://127.0.0.1:${port}/`).catch(() => ({ ok: false }));
		if (ok) return;
		await wait(20);
	}
	throw new Error('it does not serve');
}

/** Prints a table for docs/comparison.md; of some kinds alone where they are named: `npm run bench -- peers 'is good'`. */
export async function benchPeers() {
	const all = [...kinds, 'kill -9'];
	const wanted = all.filter((kind) => process.argv.includes(kind));
	const scenarios = wanted.length > 0 ? wanted : all;
	for (const kind of isQuick ? scenarios.slice(0, 2) : scenarios) {
		console.log(`\n${kind === 'kill -9' ? 'the supervisor is killed by SIGKILL' : `the new version ${kind}`}\n`);
		console.log('| | failed | worst latency | the deploy script is told |\n|---|---|---|---|');
		// PID 1 can't be killed.
		const able = kind === 'kill -9' ? contenders.filter(({ name }) => !name.startsWith('systemd')) : contenders;
		for (const contender of isQuick ? able.slice(0, 2) : able) {
			try {
				const { requests, failed, worst, words } = await measure(contender, kind);
				const latency = worst < 1000 ? `${worst.toFixed(0)} ms` : `${(worst / 1000).toFixed(1)} s`;
				console.log(`| ${contender.name} | ${failed} of ${requests} | ${latency} | ${words} |`);
			} catch (error) {
				sweep();
				console.log(`| ${contender.name} | - | - | ${error.message} |`);
			}
		}
	}
}
