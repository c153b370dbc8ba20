/**
 * Receives facts from the server and replays them in a worker, so that a long journal does not block the page. All pages of a
 * browser share the worker and its one connection: a browser opens few connections to one server.
 */
import type { Line, Source } from '../machines/facts/feed.ts';
import type { Entry } from './entry.ts';
import { newReplayer } from './replayer.ts';

/** A message from the worker to the page. */
export type Told =
	/** A timeline begins. It replaces an earlier one. */
	| { type: 'begins'; source: Source }
	/** The same timeline continues with another program or supervisor, or its supervisor has exited. */
	| { type: 'goesOn'; source: Source }
	/** `progress` rises from 0 to 1 while the existing facts are read. */
	| { type: 'entries'; entries: Entry[]; progress: number }
	/** All existing facts have been read. */
	| { type: 'live' }
	/** The connection is lost. The worker reconnects. */
	| { type: 'lost' }
	/** No message follows. `why` is a sentence. */
	| { type: 'ended'; why: string };

/** The pages. A worker of one page only has no ports, and is told to by itself. */
const pages = new Set<Pick<MessagePort, 'postMessage'>>();

/** What a page that comes later is told first. */
const known: { source: Source | null; entries: Entry[]; last: Told | null } = { source: null, entries: [], last: null };

/** The most entries that are kept for pages that come later. */
const most = 200_000;

function post(message: Told) {
	if (message.type === 'begins') [known.source, known.entries] = [message.source, []];
	if (message.type === 'goesOn') known.source = message.source;
	if (message.type === 'entries') known.entries.push(...message.entries);
	else known.last = message;
	if (known.entries.length > 1.25 * most) known.entries = known.entries.slice(-most);
	for (const page of pages) page.postMessage(message);
}

/** Tells a page all that is known so far. */
function welcome(page: Pick<MessagePort, 'postMessage'>) {
	pages.add(page);
	if (known.source === null) return;
	page.postMessage({ type: 'begins', source: known.source } satisfies Told);
	page.postMessage({ type: 'entries', entries: known.entries, progress: 1 } satisfies Told);
	if (known.last && known.last.type !== 'begins') page.postMessage(known.last);
}

if ('onconnect' in self) {
	self.onconnect = (event: unknown) => {
		const [port] = (event as MessageEvent).ports;
		if (!port) return;
		port.onmessage = () => pages.delete(port);
		welcome(port);
	};
} else welcome(self as unknown as Pick<MessagePort, 'postMessage'>);

let replay = newReplayer();
let lastSeq = 0;

/** The id of the last event from the server. A new connection continues after it. */
let lastId = '';
let stream = new EventSource('facts');
const acts = new Map<string, (event: Event) => void>();

/** Delay before a new connection if the response was no event stream, in milliseconds. */
const pause = 2000;

on('begins', (source: Source) => {
	lastSeq = 0;
	replay = newReplayer();
	post({ type: 'begins', source });
});

on('goesOn', (source: Source) => post({ type: 'goesOn', source }));

on('lines', ({ lines, progress }: { lines: Line[]; progress: number }) => {
	const entries: Entry[] = [];
	for (const line of lines) {
		// A compacted journal begins with a checkpoint of facts that are already known.
		if (line.seq <= lastSeq) continue;
		const isMissing = lastSeq > 0 && line.seq > lastSeq;
		lastSeq = line.seq;
		entries.push(
			replay(
				'checkpoint' in line
					? {
							type: 'checkpoint',
							seq: line.seq,
							at: line.at,
							state: line.checkpoint,
							gap: line.gap === true || isMissing,
						}
					: line,
			),
		);
	}
	post({ type: 'entries', entries, progress });
});

on('live', () => post({ type: 'live' }));

on('ended', (why: string) => {
	stream.close();
	post({ type: 'ended', why });
});

listen();

function listen() {
	for (const [type, act] of acts) stream.addEventListener(type, act);
	stream.addEventListener('error', () => {
		post({ type: 'lost' });
		// The browser reconnects by itself, unless the response was no event stream.
		if (stream.readyState !== EventSource.CLOSED) return;
		setTimeout(() => {
			stream = new EventSource(`facts?after=${encodeURIComponent(lastId)}`);
			listen();
		}, pause);
	});
}

function on<T>(type: string, act: (data: T) => void) {
	acts.set(type, (event) => {
		const { data, lastEventId } = event as MessageEvent<string>;
		lastId = lastEventId || lastId;
		try {
			act(JSON.parse(data));
		} catch (error) {
			stream.close();
			post({ type: 'ended', why: `The page can’t make sense of it: ${(error as Error).message}` });
		}
	});
}
