#!/usr/bin/env node
// A server in Node: answers with its pid, leaves gracefully on SIGHUP and SIGTERM.
import { createServer } from 'node:http';
import { connect } from 'node:net';

let isLeaving = false;
const server = createServer((_request, response) => {
	// Who is leaving asks its clients to come back on a new connection, which the successor will accept.
	if (isLeaving) response.setHeader('Connection', 'close');
	response.end(`Hello from ${process.pid}\n`);
});

function leave() {
	if (isLeaving) return;
	isLeaving = true;
	// close() would cut kept connections that are idle; a request may be on its way on one of them.
	const closeIdle = server.closeIdleConnections.bind(server);
	server.closeIdleConnections = () => {};
	server.close(() => process.exit(0));
	setTimeout(closeIdle, 5000).unref();
}

process.on('SIGHUP', leave);
process.on('SIGTERM', leave);
process.on('SIGINT', leave);
server.listen({ fd: 3 }, () => {
	console.log('ready');
	// einhorn's ack: it is up before -start is over. With -ready=notify it has to say so.
	const { EINHORN_SOCK_PATH } = process.env;
	if (EINHORN_SOCK_PATH)
		connect(EINHORN_SOCK_PATH).end(`${JSON.stringify({ command: 'worker:ack', pid: process.pid })}\n`);
});
