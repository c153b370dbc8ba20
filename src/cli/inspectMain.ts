/**
 * `socketmaster inspect [JOURNAL]` and `socketmaster simulate`: serve the inspector page for a running supervisor, for
 * a journal, or for a simulation.
 */
import { askStatus } from '../effects/control/answers.ts';
import { NoAnswer } from '../effects/control/client.ts';
import { findControl, Several } from '../effects/control/find.ts';
import { openBrowser } from '../effects/inspect/browser.ts';
import { controlSource } from '../effects/inspect/controlSource.ts';
import { isLoopback } from '../effects/inspect/guard.ts';
import { serveInspector } from '../effects/inspect/pageServer.ts';
import { type FactSource, imaginedSource, journalSource, requireJournal } from '../effects/inspect/source.ts';
import { errorText } from '../effects/os/errorText.ts';
import { besideProgram } from '../effects/os/installDir.ts';
import { readCommand } from './command.ts';

const preset = { host: '127.0.0.1', port: 9615 };

interface Where {
	listen: string | undefined;
	open: boolean;
}

type InspectRequest = Where & { what: 'journal' | 'control' | 'nothing'; path: string | undefined };

/** Serves the page until the process is terminated. On an error, prints a message and sets the exit status. */
export async function runInspector(words: string[], version: string): Promise<void> {
	let request: InspectRequest | undefined;
	const problem = readCommand(words, version, ({ _: [journal], control, listen, open }) => {
		const where = { listen: listen === undefined ? undefined : String(listen), open: open === true };
		if (words[0] === 'simulate') request = { what: 'nothing', path: undefined, ...where };
		else if (journal === undefined)
			request = { what: 'control', path: control === undefined ? undefined : String(control), ...where };
		else if (control === undefined) request = { what: 'journal', path: journal, ...where };
		else fail('a journal or a control socket, not both', 2);
	});
	if (problem !== null) return fail(problem, 2);
	if (!request) return;
	const where = request.listen === undefined ? preset : addressOf(request.listen);
	if (where === null) return fail(`invalid value "${request.listen}" for flag -listen: HOST:PORT is wanted`, 2);
	const source = await sourceOf(request);
	if (source) await serve(source, where, request);
}

/** Opens the source of facts. Returns null after an error message if that fails. */
async function sourceOf({ what, path }: InspectRequest): Promise<FactSource | null> {
	if (what === 'nothing') return imaginedSource;
	try {
		if (what === 'journal') {
			await requireJournal(path ?? '');
			return journalSource(path ?? '');
		}
		const control = await findControl(path, process.env);
		await askStatus(control);
		return controlSource(control);
	} catch (error) {
		if (error instanceof NoAnswer) fail(error.message, 3);
		else if (error instanceof Several) fail(error.message, 2);
		else fail(`${path}: ${errorText(error)}`);
		return null;
	}
}

async function serve(source: FactSource, where: { host: string; port: number }, { listen, open }: Where) {
	const page = besideProgram('inspector');
	try {
		const { address, port } = await serveInspector({ source, page, ...where }).catch((error) => {
			if (listen !== undefined || error.code !== 'EADDRINUSE') throw error;
			return serveInspector({ source, page, ...where, port: 0 });
		});
		const host = address.includes(':') ? `[${address}]` : address;
		const url = `http://${host}:${port}/`;
		if (!isLoopback(address)) {
			process.stderr.write(
				`Warning: ${host} is not this machine’s alone: whoever reaches it sees all that the page shows\n`,
			);
		}
		process.stdout.write(`The inspector is at ${url} until Ctrl-C\n`);
		if (open) openBrowser(url, (why) => process.stderr.write(`Could not open a browser: ${why}\n`));
	} catch (error) {
		fail(`Unable to listen on ${where.host}:${where.port}: ${listenErrorText(error)}`);
	}
}

/** Parses `127.0.0.1:9615`, `[::1]:0` or `localhost:9615`; null if the text is no such address. */
function addressOf(text: string): { host: string; port: number } | null {
	const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(text) ?? [];
	const host = bracketed ?? plain;
	const port = Number(digits);
	return host === undefined || port > 65535 ? null : { host, port };
}

/** Extracts the reason from a message of Node: "listen EADDRINUSE: address already in use 127.0.0.1:9615". */
function listenErrorText(error: unknown): string {
	const [, words] = /^\w+ E\w+: (.*?)(?: [^ ]*:\d+| [^ ]+)?$/.exec((error as Error).message) ?? [];
	return words ?? (error as Error).message;
}

function fail(sentence: string, status = 1) {
	process.stderr.write(`${sentence}\n`);
	process.exitCode = status;
}
