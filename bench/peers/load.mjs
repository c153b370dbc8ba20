// Eight clients with kept-alive connections and eight with a new one each time, until stdin ends; prints what they saw as JSON.
import { Agent, request } from 'node:http';

const port = Number(process.argv[2]);
const killTimeoutMs = 15_000;
let [requests, failed, worst] = [0, 0, 0];
let isOver = false;

function ask(agent) {
	const began = performance.now();
	return new Promise((resolve) => {
		const done = (isGood) => {
			worst = Math.max(worst, performance.now() - began);
			requests += 1;
			if (!isGood) failed += 1;
			resolve(isGood);
		};
		const asked = request({ port, host: '127.0.0.1', agent, timeout: killTimeoutMs }, (response) => {
			response.resume();
			response.on('end', () => done(response.statusCode === 200));
			response.on('error', () => done(false));
		});
		asked.on('timeout', () => asked.destroy());
		asked.on('error', () => done(false));
		asked.end();
	});
}

async function client(isKept) {
	const agent = new Agent({ keepAlive: isKept, maxSockets: 1 });
	while (!isOver) {
		const isGood = await ask(agent);
		// Who is refused does not hammer.
		await new Promise((resolve) => setTimeout(resolve, isGood ? 2 : 20));
	}
	agent.destroy();
}

process.stdin.resume().on('end', () => {
	isOver = true;
});
await Promise.all(Array.from({ length: 16 }, (_, index) => client(index < 8)));
console.log(JSON.stringify({ requests, failed, worst }));
