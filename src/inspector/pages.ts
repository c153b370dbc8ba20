/** The pages of a browser that share one worker, and what each is told: all that is known so far, then each message. */
import type { Source } from '../machines/facts/feed.ts';
import type { Entry } from './entry.ts';
import { newTimeline } from './timeline.ts';
import type { Told } from './worker.ts';

type Page = Pick<MessagePort, 'postMessage'>;

/** With more entries than `most`, the oldest are dropped, so that `kept` remain. */
const most = 200_000;
const kept = 150_000;

/** The entries in one message: a page shows how far it is between two. */
const chunk = 5000;

/** @param limits for tests: the numbers of entries that are kept */
export function newPages(limits = { most, kept }) {
	const pages = new Set<Page>();
	let source: Source | null = null;
	let entries: Entry[] = [];
	let dropped = 0;
	/** The state of the connection; null while the existing facts are read. */
	let state: Extract<Told, { type: 'live' | 'lost' | 'waits' | 'ended' }> | null = null;

	function tell(message: Told) {
		note(message);
		for (const page of pages) page.postMessage(message);
	}

	function note(message: Told) {
		switch (message.type) {
			case 'begins':
				[source, entries, dropped, state] = [message.source, [], 0, null];
				break;
			case 'goesOn':
				source = message.source;
				break;
			case 'entries':
				for (const entry of message.entries) entries.push(entry);
				if (entries.length > limits.most) drop(entries.length - limits.kept);
				// Facts come only while it is connected.
				if (state?.type === 'lost') state = { type: 'live' };
				break;
			default:
				state = message;
		}
	}

	/** The first entry that remains is what the dropped ones amount to. */
	function drop(count: number) {
		const whole = newTimeline();
		for (const entry of entries.slice(0, count)) whole.append(entry);
		const isAgain = dropped > 0 ? 1 : 0;
		entries = [...whole.without(count).entries, ...entries.slice(count)];
		dropped += count - isAgain;
	}

	return {
		tell,
		/** Tells a page that comes later all that is known. */
		welcome(page: Page) {
			pages.add(page);
			if (source !== null) {
				page.postMessage({ type: 'begins', source, dropped } satisfies Told);
				for (let at = 0; at < entries.length; at += chunk) {
					const some = entries.slice(at, at + chunk);
					page.postMessage({
						type: 'entries',
						entries: some,
						progress: (at + some.length) / entries.length,
					} satisfies Told);
				}
			}
			if (state !== null) page.postMessage(state);
		},
		leave: (page: Page) => void pages.delete(page),
		hasEnded: () => state?.type === 'ended',
	};
}
