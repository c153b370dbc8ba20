/** Draws docs/images/rotate.svg and status.svg: what rotate and status print on a terminal, for a good and a bad version. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'bin/socketmaster');
const folder = mkdtempSync('/tmp/');
const [control, broken] = [join(folder, 'control'), join(folder, 'broken')];
const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, BROKEN: broken, NO_COLOR: undefined };
const server = `
const { createServer } = require('node:http');
console.log('loading configuration');
if (require('node:fs').existsSync(process.env.BROKEN)) { console.error('no such table: users'); process.exit(3); }
const server = createServer((_, response) => response.end('ok\\n'));
server.listen({ fd: 3 });
process.on('SIGTERM', () => server.close(() => process.exit(0)));
`;

/** Runs a command on a terminal of 80 columns. @returns what is on it then, with its colours */
function onTerminal(words) {
	const line = `stty cols 80; ${program} ${words} -control=${control}`;
	const { stdout } = spawnSync('script', ['-qec', line, '/dev/null'], {
		env: { ...env, TERM: 'xterm' },
		encoding: 'utf8',
	});
	// A line that is drawn again and again: what was drawn last.
	return stdout
		.split(/\r?\n/)
		.map((text) => text.split('\r').at(-1)?.replaceAll('\u001b[K', '') ?? '')
		.filter((text, index, all) => text !== '' || index < all.length - 1);
}

const width = 660;
const lineHeight = 19;
/** What sets a colour: ESC [ 32 m. */
const colour = new RegExp(`(${String.fromCharCode(27)}\\[[\\d;]*m)`);

const classes = { 1: 'bold', 2: 'faint', 31: 'red', 32: 'green', 33: 'yellow' };

function drawing(name, lines) {
	const height = lines.length * lineHeight + 54;
	const rows = lines.map((line, row) => {
		let shown = [];
		const parts = line.split(colour).flatMap((part) => {
			const codes = part.match(colour)?.[0].slice(2, -1);
			if (codes === undefined)
				return part === '' ? [] : `<tspan${shown.length ? ` class="${shown.join(' ')}"` : ''}>${escaped(part)}</tspan>`;
			shown = codes === '0' ? [] : codes.split(';').flatMap((code) => classes[code] ?? []);
			return [];
		});
		return `<text x="16" y="${48 + row * lineHeight}" xml:space="preserve">${parts.join('')}</text>`;
	});
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${name}">
<style>
text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace; fill: #e6edf3; }
.bold { font-weight: 700; } .faint { fill: #9aa7b4; } .red { fill: #ff8f85; } .green { fill: #7ee09a; } .yellow { fill: #f0c06a; }
</style>
<rect width="${width}" height="${height}" rx="9" fill="#11171d"/>
<circle cx="20" cy="17" r="5" fill="#ff5f57"/><circle cx="37" cy="17" r="5" fill="#febc2e"/><circle cx="54" cy="17" r="5" fill="#28c840"/>
${rows.join('\n')}
</svg>
`;
}

function escaped(text) {
	return text.replace(/[<>&]/g, (character) => ({ '<': '&lt;', '>': '&gt;' })[character] ?? '&amp;');
}

const flags = ['-listen=tcp://127.0.0.1:0', '-ready=accept', '-workers=2', '-signal=TERM', `-control=${control}`];
const supervisor = spawn(program, [...flags, `-command=${process.execPath}`, '--', '-e', server], {
	stdio: ['ignore', 'ignore', 'pipe'],
	env,
});
try {
	for await (const line of createInterface({ input: supervisor.stderr })) if (/Generation 1 is up/.test(line)) break;
	const good = onTerminal('rotate');
	writeFileSync(broken, '');
	const bad = onTerminal('rotate');
	const prompt = (words) => `\u001b[2m$\u001b[0m socketmaster ${words}`;
	mkdirSync(join(root, 'docs/images'), { recursive: true });
	const rotations = [prompt('rotate'), ...good, '', prompt('rotate'), ...bad];
	writeFileSync(
		join(root, 'docs/images/rotate.svg'),
		drawing('Two rotations: a good one, and one that failed', rotations),
	);
	const status = onTerminal('status').map((line) => line.replaceAll(folder, '/run/app'));
	writeFileSync(join(root, 'docs/images/status.svg'), drawing('The status after them', [prompt('status'), ...status]));
} finally {
	supervisor.stderr.resume();
	supervisor.kill('SIGTERM');
	supervisor.on('exit', () => rmSync(folder, { recursive: true }));
}
