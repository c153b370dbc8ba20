#!/usr/bin/env node
// One server for all supervisors: it takes its socket in the words of each, and is as good or bad as a file says.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';

const kind = readFileSync(process.env.KIND_FILE, 'utf8').trim();
if (kind === 'dies at once') process.exit(3);
const wait = (millis) => new Promise((resolve) => setTimeout(resolve, millis));
if (kind === 'boots for 2.5 s') await wait(2500);
if (kind === 'says nothing, and boots for 5 s') await wait(5000);
if (kind === 'is never ready') await wait(2 ** 31 - 1);

let isLeaving = false;
const server = createServer((_, response) => {
	if (isLeaving) response.setHeader('Connection', 'close');
	if (kind === 'answers 500') response.statusCode = 500;
	response.end(String(process.pid));
});

/** fd 3 of socketmaster and systemd, the one that Server::Starter names, or pm2's own way. */
function where() {
	if (kind === 'listens on another port') return { host: '127.0.0.1', port: 0 };
	const { SERVER_STARTER_PORT, EINHORN_FDS, LISTEN_FDS, PORT } = process.env;
	if (EINHORN_FDS || LISTEN_FDS) return { fd: 3 };
	if (SERVER_STARTER_PORT) return { fd: Number(SERVER_STARTER_PORT.split('=')[1]) };
	return { host: '127.0.0.1', port: Number(PORT) };
}

server.listen(where(), () => {
	const { EINHORN_SOCK_PATH } = process.env;
	if (EINHORN_SOCK_PATH && !kind.startsWith('says nothing'))
		connect(EINHORN_SOCK_PATH).end(`{"command":"worker:ack","pid":${process.pid}}\n`);
	process.send?.('ready');
	if (kind === 'dies after 1.5 s') setTimeout(() => process.exit(3), 1500);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
	process.on(signal, () => {
		if (isLeaving) return;
		isLeaving = true;
		// close() would cut kept connections that are idle; a request may be on its way on one of them.
		const closeIdle = server.closeIdleConnections.bind(server);
		server.closeIdleConnections = () => {};
		server.close(() => process.exit(0));
		setTimeout(closeIdle, 1000).unref();
	});
}
