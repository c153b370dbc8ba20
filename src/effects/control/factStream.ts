/** Facts as server-sent events: first the state folded from all facts, then each new fact. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Fact } from '../../machines/facts/facts.ts';
import type { SupervisorState } from '../../machines/state/supervisorState.ts';

/**
 * A reader is disconnected if it leaves more than `mostUntaken` bytes unread for `drainTimeoutMs` milliseconds, or
 * more than `mostEver` bytes at any time. It reconnects with `Last-Event-ID`.
 */
const [mostUntaken, mostEver, drainTimeoutMs] = [1024 * 1024, 32 * 1024 * 1024, 2000];

/** Limit for the facts kept for readers that reconnect. */
const mostKept = 1024;

export interface FactStreamOptions {
	/** Identifies the run. Another supervisor at the same path numbers its facts from 1 again. */
	run: string;
	seq: () => number;
	state: () => SupervisorState | null;
	/** The facts recorded before this stream was created, up to the last one. */
	recent: Fact[];
}

export function factStream({ run, seq, state, recent }: FactStreamOptions) {
	const readers = new Set<ServerResponse>();
	const slow = new Set<ServerResponse>();
	const kept = recent.map(eventOf);

	/** Starts a response that does not end. */
	function serve({ headers, url = '/' }: IncomingMessage, response: ServerResponse) {
		response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
		const query = new URLSearchParams(url.split('?')[1]);
		const after = String(headers['last-event-id'] ?? query.get('after') ?? '');
		const isOurs = (query.get('run') ?? run) === run;
		const missed = isOurs && /^\d{1,15}$/.test(after) ? seq() - Number(after) : Number.NaN;
		if (missed >= 0 && missed <= kept.length) {
			response.write(`:\n\n${kept.slice(kept.length - missed).join('')}`);
		} else {
			const checkpoint = { checkpoint: state(), seq: seq(), at: Date.now(), run };
			response.write(`id: ${seq()}\nevent: checkpoint\ndata: ${JSON.stringify(checkpoint)}\n\n`);
		}
		readers.add(response);
		response.once('close', () => readers.delete(response));
	}

	function giveTime(reader: ServerResponse) {
		slow.add(reader);
		const check = setTimeout(() => {
			forget();
			if (reader.writableLength > mostUntaken) reader.destroy();
		}, drainTimeoutMs).unref();
		function forget() {
			slow.delete(reader);
			clearTimeout(check);
			reader.off('close', forget);
		}
		reader.on('close', forget);
	}

	function note(fact: Fact) {
		const event = eventOf(fact);
		kept.push(event);
		if (kept.length > mostKept) kept.shift();
		for (const reader of readers) {
			reader.write(event);
			if (reader.writableLength > mostEver) reader.destroy();
			else if (reader.writableLength > mostUntaken && !slow.has(reader)) giveTime(reader);
		}
	}

	return { serve, note };
}

function eventOf(fact: Fact): string {
	return `id: ${fact.seq}\nevent: fact\ndata: ${JSON.stringify(fact)}\n\n`;
}
