// Node's cluster. Its workers accept for themselves: a primary that hands connections out drops the ones it has in hand
// when the last worker leaves.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { connect } from 'node:net';

const body = '@VERSION@ '.repeat(3000).slice(0, 20_000);
cluster.schedulingPolicy = cluster.SCHED_NONE;
if (cluster.isPrimary) lead();
else serve();

function lead() {
	let isLeaving = false;
	let listening = 0;
	for (let count = 0; count < 2; count += 1) cluster.fork();
	cluster.on('listening', () => {
		listening += 1;
		// einhorn's ack: both are up.
		const { EINHORN_SOCK_PATH } = process.env;
		if (listening === 2 && EINHORN_SOCK_PATH)
			connect(EINHORN_SOCK_PATH).end(`${JSON.stringify({ command: 'worker:ack', pid: process.pid })}\n`);
	});
	cluster.on('exit', (_worker, code) => {
		if (!isLeaving) process.exit(code || 1);
	});
	process.on('SIGTERM', () => {
		isLeaving = true;
		for (const worker of Object.values(cluster.workers)) worker.send('leave');
	});
}

function serve() {
	let served = 0;
	let isLeaving = false;
	const server = createServer((request, response) => {
		served += 1;
		if (isLeaving) response.setHeader('Connection', 'close');
		const wait = request.url === '/slow' ? 500 : served % 20 === 0 ? 30 : 0;
		setTimeout(() => response.end(body), wait);
	});
	process.on('message', () => {
		isLeaving = true;
		const closeIdle = server.closeIdleConnections.bind(server);
		server.closeIdleConnections = () => {};
		server.close(() => process.exit(0));
		setTimeout(closeIdle, 5000).unref();
	});
	setTimeout(() => server.listen({ fd: 3 }), 1000 * (process.env.LOAD_SECONDS ?? 0));
}
