/** Reads what the server sends and replays it, beside the page: a long journal does not stop that from being used. */
import type { Line, Source } from '../machines/facts/feed.ts';
import type { Entry } from './entry.ts';
import { newReplayer } from './replayer.ts';

/** What the page is told. */
export type Told =
	/** A story begins, also where another one was before. */
	| { type: 'begins'; source: Source }
	/** The same one goes on, by another program or supervisor, or by nobody. */
	| { type: 'goesOn'; source: Source }
	/** `progress` goes from 0 to 1 while what is there already is read. */
	| { type: 'entries'; entries: Entry[]; progress: number }
	/** All that is there has been read. */
	| { type: 'live' }
	/** The connection is lost, and tried again. */
	| { type: 'lost' }
	/** Nothing will follow: the sentence says why. */
	| { type: 'ended'; why: string };

const tell = (told: Told) => postMessage(told);

let replay = newReplayer();
let lastSeq = 0;

/** The last that was told, as the server names it. */
let lastId = '';
let stream = new EventSource('facts');
const acts = new Map<string, (event: Event) => void>();

/** So long after an answer that was none it is asked again, in milliseconds. */
const pause = 2000;

on('begins', (source: Source) => {
	lastSeq = 0;
	replay = newReplayer();
	tell({ type: 'begins', source });
});

on('goesOn', (source: Source) => tell({ type: 'goesOn', source }));

on('lines', ({ lines, progress }: { lines: Line[]; progress: number }) => {
	const entries: Entry[] = [];
	for (const line of lines) {
		// A compacted journal begins with what is known already.
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
	tell({ type: 'entries', entries, progress });
});

on('live', () => tell({ type: 'live' }));

on('ended', (why: string) => {
	stream.close();
	tell({ type: 'ended', why });
});

listen();

function listen() {
	for (const [type, act] of acts) stream.addEventListener(type, act);
	stream.addEventListener('error', () => {
		tell({ type: 'lost' });
		// The browser asks again by itself, unless somebody else has answered.
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
			tell({ type: 'ended', why: `The page can’t make sense of it: ${(error as Error).message}` });
		}
	});
}
