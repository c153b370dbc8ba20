/** `socketmaster status`: prints the state of a supervisor as a table, as JSON, or as metrics. */
import { askStatus, statusIn } from '../../effects/control/answers.ts';
import { ask, NoAnswer } from '../../effects/control/client.ts';
import type { Status } from '../../effects/control/statusReport.ts';
import { errorText } from '../../effects/os/errorText.ts';
import { clockTime } from '../../effects/terminal/format.ts';
import { onKeys, screen, watchPage } from '../../effects/terminal/screen.ts';
import { cut } from '../../effects/terminal/textCells.ts';
import type { HealthState } from '../../machines/state/health.ts';
import { CommandError, clientCommand, controlOf, errorOf, exits } from '../clientCommand.ts';
import { statusTable } from '../statusTable.ts';

interface Given {
	control?: unknown;
	json?: boolean;
	watch?: boolean;
	metrics?: boolean;
	quiet?: boolean;
	verbose?: boolean;
}

/** Interval at which -watch draws the page, in milliseconds. */
const beat = 1000;

/** The exit statuses of -quiet, as monitors take them: 0 OK, 1 warning, 2 critical. */
const quietStatuses: Record<HealthState, number> = {
	ok: 0,
	degraded: 1,
	starting: 1,
	down: 2,
	stopping: 2,
	stopped: 2,
};

export const runStatus = clientCommand(status);

async function status({ control, json, watch, metrics, quiet, verbose }: Given): Promise<number> {
	if (Number(json) + Number(watch) + Number(metrics) + Number(quiet) > 1) {
		throw new CommandError('-json, -watch, -metrics and -quiet exclude each other', exits.usage);
	}
	const path = await controlOf(control);
	if (quiet) return quietStatuses[(await askStatus(path)).health.state];
	const isVerbose = verbose === true;
	if (watch) return watchStatus(path, isVerbose);
	const { status, body } = await ask(path, metrics ? '/metrics' : '/status');
	if (status !== 200) throw new CommandError(errorOf(body), exits.failed);
	const out = screen();
	const textOf = (status: Status) =>
		json
			? `${JSON.stringify(body)}\n`
			: `${statusTable(status, { path, now: Date.now(), isVerbose }, out).join('\n')}\n`;
	const text = metrics ? metricsIn(path, body) : textOf(statusIn(path, body));
	try {
		await out.write(text);
	} catch (error) {
		throw new CommandError(`the status could not be written: ${errorText(error)}`, exits.failed);
	}
	return exits.done;
}

/** @throws {NoAnswer} if the body is no metrics text of a supervisor */
function metricsIn(path: string, body: unknown): string {
	if (typeof body === 'string' && body.startsWith('# HELP socketmaster_')) return body;
	throw new NoAnswer(`no supervisor answers at ${path}: what answers there is none`);
}

async function watchStatus(path: string, isVerbose: boolean): Promise<number> {
	const out = screen();
	if (!out.isTerminal) throw new CommandError('-watch needs a terminal', exits.usage);
	// If no supervisor responds at first, the command fails. Later, the page reports that.
	await askStatus(path);
	const over = new AbortController();
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => over.abort());
	const stopListening = onKeys((key) => {
		if (key === 'q' || key === '\u0003') over.abort();
	});
	let last: Status | null = null;
	const draw = async () => {
		const title = out.colour(
			cut(`q quits  ${clockTime(Date.now())}  socketmaster status, every second`, out.width() - 1),
			'faint',
		);
		const page = (status: Status) => statusTable(status, { path, now: Date.now(), isVerbose }, out);
		try {
			last = await askStatus(path, { signal: over.signal, limit: 5000 }, '/status');
			return [title, ...page(last)];
		} catch {
			const words = `Nobody answers at ${path}; what follows is the last that was known`;
			return [title, out.colour(words, 'red'), ...(last ? page(last) : [])];
		}
	};
	await watchPage(draw, { signal: over.signal, pause: beat }).finally(stopListening);
	return exits.done;
}
