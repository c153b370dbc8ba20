/** Reads what the server sends and replays it, beside the page: a long journal does not stop that from being used. */
import type { Fact } from '../machines/facts.ts';
import type { Line, Source } from '../machines/wire.ts';
import type { Entry } from './entry.ts';
import { newReplayer } from './replayer.ts';

/** What the page is told. */
export type Told =
	/** A story begins, also where another one was before. */
	| { type: 'begins'; source: Source }
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
/** Undefined before the first one. */
let run: string | null | undefined;
let lastSeq = 0;

const stream = new EventSource('facts');

on('begins', (source: Source) => {
	if (source.run === run) return;
	run = source.run;
	lastSeq = 0;
	replay = newReplayer();
	tell({ type: 'begins', source });
});

on('lines', ({ lines, progress }: { lines: Line[]; progress: number }) => {
	const entries: Entry[] = [];
	for (const line of lines) {
		const isCheckpoint = 'checkpoint' in line;
		// A compacted journal begins with what is known already.
		if (line.seq < lastSeq || (line.seq === lastSeq && !(isCheckpoint && line.gap))) continue;
		lastSeq = line.seq;
		entries.push(
			replay(
				isCheckpoint
					? { type: 'checkpoint', seq: line.seq, at: line.at, roster: line.checkpoint, gap: line.gap === true }
					: (line as Fact),
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

stream.addEventListener('error', () => {
	if (stream.readyState === EventSource.CLOSED)
		tell({ type: 'ended', why: 'The inspector’s server refused the connection' });
	else tell({ type: 'lost' });
});

function on<T>(type: string, act: (data: T) => void) {
	stream.addEventListener(type, (event) => {
		try {
			act(JSON.parse((event as MessageEvent<string>).data));
		} catch (error) {
			stream.close();
			tell({ type: 'ended', why: `The page can’t make sense of it: ${(error as Error).message}` });
		}
	});
}
