#!/usr/bin/env node
// A server in Node: answers with its pid, leaves gracefully on SIGHUP and SIGTERM. It runs alone too, on port 8080.
import { createServer } from 'node:http';
import { listen, ready, status, stopping, watchdog } from 'socketmaster/child';

const server = createServer((_request, response) => response.end(`Hello from ${process.pid}\n`));

// The listener that socketmaster has opened, or a port of its own.
await listen(server, 8080);
console.log('ready');
// It is up before -start is over. With -ready=notify it has to say so.
await ready();
await status('answers');
// With -watchdog: a process whose event loop hangs is replaced.
watchdog();

// It answers what has begun, and asks clients of kept connections to come back on a new one.
const leave = () => stopping(server).then(() => process.exit(0));
for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT']) process.once(signal, leave);
