// Node's http.
import { createServer } from 'node:http';
import { connect } from 'node:net';

const body = '@VERSION@ '.repeat(3000).slice(0, 20_000);
let served = 0;
let isLeaving = false;

const server = createServer((request, response) => {
	served += 1;
	// Who leaves asks its clients to come back on a new connection, which the next version accepts.
	if (isLeaving) response.setHeader('Connection', 'close');
	const wait = request.url === '/slow' ? 500 : served % 20 === 0 ? 30 : 0;
	setTimeout(() => response.end(body), wait);
});

process.on('SIGTERM', () => {
	isLeaving = true;
	// close() would cut kept connections that are idle; a request may be on its way on one of them.
	const closeIdle = server.closeIdleConnections.bind(server);
	server.closeIdleConnections = () => {};
	server.close(() => process.exit(0));
	setTimeout(closeIdle, 5000).unref();
});
await new Promise((resolve) => setTimeout(resolve, 1000 * (process.env.LOAD_SECONDS ?? 0)));
server.listen({ fd: 3 }, () => {
	// einhorn's ack: it is up.
	const { EINHORN_SOCK_PATH } = process.env;
	if (EINHORN_SOCK_PATH)
		connect(EINHORN_SOCK_PATH).end(`${JSON.stringify({ command: 'worker:ack', pid: process.pid })}\n`);
});
