// Loaded into a supervisor (NODE_OPTIONS=--require): writes how long its event loop was kept waiting, as `milliseconds since 1970,
// longest wait in milliseconds` every 20 ms, to $LOOP_DELAY_FILE.
const { appendFileSync } = require('node:fs');
const { monitorEventLoopDelay } = require('node:perf_hooks');

const file = process.env.LOOP_DELAY_FILE;
if (file && process.argv[1]?.endsWith('socketmaster')) {
	const delay = monitorEventLoopDelay({ resolution: 1 });
	delay.enable();
	setInterval(() => {
		appendFileSync(file, `${Date.now()},${(delay.max / 1e6).toFixed(2)}\n`);
		delay.reset();
	}, 20).unref();
}
