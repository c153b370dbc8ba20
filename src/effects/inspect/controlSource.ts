/** The facts of a supervisor that runs, from its control socket: whether it has a journal or not. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Line, Source } from '../../machines/facts/feed.ts';
import { askStatus } from '../control/answers.ts';
import { NoAnswer, open } from '../control/client.ts';
import { errorText } from '../os/errorText.ts';
import type { FactSource, Item } from './source.ts';

/** How long until one that does not answer is asked again, in milliseconds. */
const pause = 250;

/** It comes back after an upgrade, and after a crash: the same story goes on, unless another supervisor has begun one. */
export function controlSource(path: string): FactSource {
	return { items: (signal) => itemsOf(path, signal), hasFact: (run, seq) => hasFact(path, run, seq) };
}

async function* itemsOf(path: string, signal: AbortSignal): AsyncGenerator<Item> {
	let known: Source | null = null;
	let last = 0;
	let isLost = false;
	while (!signal.aborted) {
		try {
			const source = await sourceAt(path, signal);
			const isSame = known !== null && known.run === source.run;
			yield { type: isSame ? 'goesOn' : 'begins', source };
			if (!isSame) last = 0;
			[known, isLost] = [source, false];
			const headers = { ...(last > 0 && { 'Last-Event-ID': String(last) }) };
			const stream = await open(path, `/facts?run=${encodeURIComponent(source.run ?? '')}`, { signal, headers });
			for await (const lines of linesIn(stream)) {
				const fresh: Line[] = lines.filter(({ seq }) => seq > last);
				last = fresh.at(-1)?.seq ?? last;
				if (fresh.length > 0) yield { type: 'lines', lines: fresh, progress: 1 };
				yield { type: 'live' };
			}
			throw new NoAnswer('it has ended');
		} catch (error) {
			if (signal.aborted) return;
			if (!(error instanceof NoAnswer) && !isConnectionLost(error)) {
				return yield { type: 'ended', why: `${path}: ${errorText(error)}` };
			}
			if (known && !isLost) yield { type: 'goesOn', source: { ...known, isWritten: false } };
			isLost = true;
			await wait(pause, null, { signal }).catch(() => {});
		}
	}
}

function isConnectionLost(error: unknown): boolean {
	return ['ECONNRESET', 'EPIPE', 'ABORT_ERR'].includes((error as { code?: string }).code ?? '');
}

async function sourceAt(path: string, signal?: AbortSignal): Promise<Source> {
	const { run, version, pid, listeners } = await askStatus(path, { signal });
	const shown = listeners.map(({ uri, address }) => ({ uri, address }));
	return { name: path, isImagined: false, run, program: version, pid, listeners: shown, isWritten: true };
}

/** The lines of server-sent events, as many as have come at a time; none for a comment. */
async function* linesIn(stream: AsyncIterable<Buffer>): AsyncGenerator<Line[]> {
	let rest = '';
	const decoder = new TextDecoder();
	for await (const chunk of stream) {
		const events = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
		rest = events.pop() ?? '';
		yield events.flatMap((event) => {
			const data = /^data: (.*)$/m.exec(event)?.[1];
			return data === undefined ? [] : (JSON.parse(data) as Line);
		});
	}
}

/** Facts are numbered without gaps: one that is not newer than the last was part of the story. */
async function hasFact(path: string, run: string, seq: number): Promise<boolean> {
	try {
		const status = await askStatus(path);
		return status.run === run && seq <= status.seq;
	} catch {
		return false;
	}
}
