/** Reads the facts of a running supervisor from its control socket. This works with and without a journal. */
import { setTimeout as wait } from 'node:timers/promises';
import { type GenericSchema, nullable, object, safeParse } from 'valibot';
import type { Fact, FactType } from '../../machines/facts/facts.ts';
import type { Line, Report, Source } from '../../machines/facts/feed.ts';
import { askStatus, rotationsIn } from '../control/answers.ts';
import { ask, NoAnswer, open } from '../control/client.ts';
import { newSchemas } from '../journal/lineSchemas.ts';
import { count, stateSchema, time } from '../journal/stateSchemas.ts';
import { errorText } from '../os/errorText.ts';
import type { FactSource, Item } from './source.ts';

/** Interval at which an unavailable supervisor is polled, in milliseconds. */
const pause = 250;

/**
 * Reconnects after an upgrade or a crash. If the run is the same, its timeline continues; else a new timeline begins.
 */
export function controlSource(path: string): FactSource {
	return {
		items: (signal) => itemsOf(path, signal),
		hasFact: (run, seq) => hasFact(path, run, seq),
		report: () => reportOf(path),
	};
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
			if (!known && !isLost) yield { type: 'waits', why: errorText(error) };
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

/** Parses server-sent events and yields the lines of each chunk. A comment yields an empty array. */
async function* linesIn(stream: AsyncIterable<Buffer>): AsyncGenerator<Line[]> {
	let rest = '';
	const decoder = new TextDecoder();
	const decode = lineDecoder();
	for await (const chunk of stream) {
		const events = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
		rest = events.pop() ?? '';
		yield events.flatMap((event) => {
			const data = /^data: (.*)$/m.exec(event)?.[1];
			return data === undefined ? [] : (decode(data) ?? []);
		});
	}
}

/** @returns a function that decodes a line. It returns null for a supervisor without a state yet, and throws for an unknown fact */
function lineDecoder(): (text: string) => Line | null {
	const { facts } = newSchemas();
	const checkpoint = object({ checkpoint: nullable(stateSchema()), seq: count(), at: time() });
	return (text) => {
		const value: Record<string, unknown> = JSON.parse(text);
		if ('checkpoint' in value) {
			const { success, output } = safeParse(checkpoint, value);
			if (!success) throw new Error('its state is of another version: use the inspector of that version');
			return output.checkpoint === null ? null : { ...output, checkpoint: output.checkpoint };
		}
		const type = String(value.type);
		const schema = Object.hasOwn(facts, type) ? facts[type as FactType] : null;
		const decoded = schema && safeParse(schema as GenericSchema<unknown, Fact>, value);
		if (!decoded?.success)
			throw new Error(`its fact ${String(value.seq)} is of another version: use the inspector of that version`);
		return decoded.output;
	};
}

/** Facts are numbered without gaps, so every number up to the last one belongs to the run. */
async function hasFact(path: string, run: string, seq: number): Promise<boolean> {
	try {
		const status = await askStatus(path);
		return status.run === run && seq <= status.seq;
	} catch {
		return false;
	}
}

/** @throws {NoAnswer} */
async function reportOf(path: string): Promise<Report> {
	const { generations } = await askStatus(path, { limit: mostMillis }, '/status');
	const rotations = rotationsIn(path, await ask(path, '/rotations', { limit: mostMillis }));
	const children = generations
		.flatMap((each) => each.children)
		.map(({ pid, connections, status }) => ({ pid, connections, status }));
	return { children, rotations };
}

/** How long a report may take, in milliseconds. */
const mostMillis = 3000;
