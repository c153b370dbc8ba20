/** The items of a source as server-sent events for one page, which may have some of the facts already. */
import type { IncomingMessage } from 'node:http';
import type { Item } from './source.ts';

/** The last fact that a page has. */
export interface LastEvent {
	run: string;
	seq: number;
}

/** Reads the id of the last event, from the header or from `after` in the query. Null if it is missing or invalid. */
export function lastEventOf({ headers, url }: Pick<IncomingMessage, 'headers' | 'url'>): LastEvent | null {
	const { searchParams } = new URL(url ?? '/', 'http://localhost');
	const last = String(headers['last-event-id'] ?? searchParams.get('after') ?? '');
	const [, run = '', seq] = /^(\S+) (\d{1,15})$/.exec(last) ?? [];
	return seq === undefined ? null : { run: decoded(run), seq: Number(seq) };
}

/** @param id a complete line, or empty */
export function eventText(type: string, data: unknown, id = ''): string {
	return `${id}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

export class PageEvents {
	#after: number;
	#isResumed: boolean;
	#run = '';
	#isLive = false;

	/** @param after the number of the last fact that the page has; 0 if it has none of this timeline */
	constructor(after: number) {
		this.#after = after;
		this.#isResumed = after > 0;
	}

	/** @returns null for an item that tells the page nothing new */
	textOf(item: Item): string | null {
		if ('source' in item) this.#run = item.source.run ?? '';
		switch (item.type) {
			case 'live': {
				const isKnown = this.#isLive;
				this.#isLive = true;
				return isKnown ? null : eventText('live', null);
			}
			case 'begins': {
				const isResumed = this.#isResumed;
				this.#isResumed = false;
				if (!isResumed) this.#after = 0;
				return eventText(isResumed ? 'goesOn' : 'begins', item.source);
			}
			case 'lines': {
				const lines = item.lines.filter(({ seq }) => seq > this.#after);
				if (lines.length === 0) return null;
				const id = `id: ${encodeURIComponent(this.#run)} ${lines.at(-1)?.seq}\n`;
				return eventText('lines', { lines, progress: item.progress }, id);
			}
			case 'goesOn':
				return eventText('goesOn', item.source);
			case 'waits':
				return eventText('waits', item.why);
			case 'ended':
				return eventText('ended', item.why);
		}
	}
}

/** Returns an empty string if the text is not URI-encoded. */
function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return '';
	}
}
