/**
 * Measures the built program. PEER=/path/to/another measures that one in the same run, turn by turn.
 * Usage: npm run bench [-- --quick] [-- log rotation ready user workers looks start memory idle requests journal replay inspector asking]
 *        npm run bench -- peers, cost (of the peers), ratios: each is run by itself alone
 *        npm run bench -- --quick sees that all of them run, and compares the ratios with those written down
 */
import { benchAsking } from './asking.mjs';
import { benchReady, benchUser, benchWorkers } from './deploys.mjs';
import { benchInspector } from './inspector.mjs';
import { benchJournal } from './journal.mjs';
import { benchLog } from './log.mjs';
import { benchLooks } from './looks.mjs';
import { benchCost } from './peers/cost.mjs';
import { benchPeers } from './peers/peers.mjs';
import { benchIdle, benchMemory, benchRotation, benchStart } from './process.mjs';
import { benchRatios } from './ratios.mjs';
import { benchReplay } from './replay.mjs';
import { benchRequests } from './requests.mjs';
import { head, isQuick } from './support.mjs';

const all = {
	start: benchStart,
	rotation: benchRotation,
	ready: benchReady,
	user: benchUser,
	workers: benchWorkers,
	looks: benchLooks,
	log: benchLog,
	requests: benchRequests,
	memory: benchMemory,
	idle: benchIdle,
	journal: benchJournal,
	replay: benchReplay,
	inspector: benchInspector,
	asking: benchAsking,
};
if (process.argv.includes('peers')) {
	await benchPeers();
	process.exit();
}

if (process.argv.includes('cost')) {
	await benchCost();
	process.exit();
}
if (process.argv.includes('ratios')) process.exit(await ratios());

const wanted = process.argv.slice(2).filter((name) => name in all);

head();
for (const name of wanted.length > 0 ? wanted : Object.keys(all)) await all[name]();
if (isQuick && wanted.length === 0) process.exitCode = await ratios();

/** @returns the exit status */
async function ratios() {
	const worse = await benchRatios();
	if (worse.length > 0) console.error(`More than 1.3 times worse than bench/written.json says: ${worse.join(', ')}`);
	return worse.length > 0 ? 1 : 0;
}
