/**
 * Receives facts from the server and replays them in a worker, so that a long journal does not block the page. All pages of a
 * browser share the worker and its one connection: a browser opens few connections to one server.
 */
import type { Line, Source } from '../machines/facts/feed.ts';
import type { Entry } from './entry.ts';
import { newPages } from './pages.ts';
import { newReplayer } from './replayer.ts';

/** A message from the worker to the page. */
export type Told =
	/** A timeline begins. It replaces an earlier one. `dropped` facts are missing at its begin. */
	| { type: 'begins'; source: Source; dropped: number }
	/** The same timeline continues with another program or supervisor, or its supervisor has exited. */
	| { type: 'goesOn'; source: Source }
	/** `progress` rises from 0 to 1 while the existing facts are read. */
	| { type: 'entries'; entries: Entry[]; progress: number }
	/** All existing facts have been read. */
	| { type: 'live' }
	/** No supervisor answers yet. `why` is a sentence. */
	| { type: 'waits'; why: string }
	/** The connection is lost. The worker reconnects. */
	| { type: 'lost' }
	/** No message follows. `why` is a sentence. */
	| { type: 'ended'; why: string };

const pages = newPages();

if ('onconnect' in self) {
	self.onconnect = (event: unknown) => {
		const [port] = (event as MessageEvent).ports;
		if (!port) return;
		port.onmessage = () => pages.leave(port);
		// A page that is loaded again after an error wants another attempt.
		if (pages.hasEnded()) beginAnew();
		pages.welcome(port);
	};
} else pages.welcome(self as unknown as Pick<MessagePort, 'postMessage'>);

const post = (message: Told) => pages.tell(message);

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
	post({ type: 'begins', source, dropped: 0 });
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

on('waits', (why: string) => post({ type: 'waits', why }));

on('ended', (why: string) => {
	stream.close();
	post({ type: 'ended', why });
});

listen();

/** Reads everything again. */
function beginAnew() {
	stream.close();
	[lastId, lastSeq] = ['', 0];
	stream = new EventSource('facts');
	listen();
}

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
