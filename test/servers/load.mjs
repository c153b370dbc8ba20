// Clients that take no answer that is degraded: half on new connections, half on kept ones, and one on new ones whose
// answers are half a second in the making. Runs until its stdin closes, then prints { requests, failures, closed }
// as JSON. A connection that is closed before the first byte of an answer is counted apart, by its kind, and the request
// made again: HTTP lets a server close between two answers and a client ask anew (RFC 9112, 9.3.1), as browsers and
// proxies do. Whether that may happen is for the reader of the count to say. Each version's word is printed when its first
// answer is there.
// Usage: load.mjs HOST:PORT|/path/to.sock
import { Agent, request } from 'node:http';

const [target = ''] = process.argv.slice(2);
const [host, port] = target.split(':');
const where = target.startsWith('/') ? { socketPath: target } : { host, port };
const result = { requests: 0, failures: [], closed: { kept: 0, new: 0 } };
const words = new Set();
let isOver = false;

function get(path, agent) {
	return new Promise((resolve, reject) => {
		let body = null;
		const sent = request({ ...where, agent, path }, (response) => {
			body = '';
			response.setEncoding('latin1');
			response.on('data', (chunk) => {
				body += chunk;
			});
			response.on('end', () => {
				const word = body.split(' ', 1)[0];
				const isComplete = body === `${word} `.repeat(3000).slice(0, 20_000) && body.length === 20_000;
				if (response.statusCode !== 200 || !isComplete)
					fail(new Error(`status ${response.statusCode}, ${body.length} bytes, of ${word}`));
				else resolve(word);
			});
			response.on('error', fail);
		});
		const fail = (error) =>
			reject(Object.assign(error, { isEarly: body === null && isClosed(error), isKept: sent.reusedSocket }));
		sent.on('error', fail);
		sent.end();
	});
}

const isClosed = ({ code }) => code === 'ECONNRESET' || code === 'EPIPE';

/** One request, and some more where its connection was closed. */
async function ask(path, agent) {
	result.requests += 1;
	for (let tries = 1; ; tries += 1) {
		try {
			return await get(path, tries === 1 && agent);
		} catch (error) {
			if (!error.isEarly || tries === 5) throw error;
			result.closed[error.isKept ? 'kept' : 'new'] += 1;
		}
	}
}

async function client(kind) {
	const agent = kind === 'kept' ? new Agent({ keepAlive: true, maxSockets: 1 }) : false;
	while (!isOver) {
		try {
			const word = await ask(kind === 'slow' ? '/slow' : '/', agent);
			if (!words.has(word)) console.log(word);
			words.add(word);
		} catch (error) {
			if (result.failures.length < 20) result.failures.push(`${kind}: ${error.message}`);
		}
		// The machine is to have time for the servers that start.
		await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 4));
	}
	if (agent) agent.destroy();
}

process.stdin.on('end', () => {
	isOver = true;
});
process.stdin.resume();
await Promise.all(['slow', 'new', 'kept', 'new', 'kept', 'new', 'kept', 'new', 'kept'].map(client));
console.log(JSON.stringify(result));
