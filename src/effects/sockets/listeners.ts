/** The listening sockets of one supervisor: opened, taken back, handed on, closed. */
import { array, number, object, string } from 'valibot';
import { StartError } from '../startError.ts';
import { type HandoverState, section } from '../upgrade/handoverState.ts';
import { withoutName } from './activation.ts';
import { splitUri } from './address.ts';
import { storedListeners, storeListeners } from './fdStore.ts';
import { closeListener, type Listener, openListener, takeListener, withOptions } from './listener.ts';
import { unknownOptions, withoutOptions } from './options.ts';
import { fileSchema } from './socketFile.ts';

const listenersSection = section('listeners', () => array(object({ uri: string(), fd: number(), file: fileSchema() })));

export interface ListenersOptions {
	uris: string[];
	handoverState: HandoverState;
	/** Taken from the children of a supervisor that was killed, which are taken over; null where none is. */
	recovered: Listener[] | null;
	/** Taken from processes that are nobody's children. */
	orphaned: Listener[];
	/** Who else may hold an address that is in use. */
	deniedPids: number[];
	say: (text: string) => void;
}

export interface Listeners {
	all: Listener[];
	/** Children that run already have others. */
	haveChanged: boolean;
	/** Closes them, and removes the paths that were made. */
	close: () => void;
}

/**
 * Each URI's socket: the one that the program before held, that a killed one's children hold, that a manager
 * keeps, or a new one.
 * @throws {StartError}
 */
export function openListeners({ handoverState, ...options }: ListenersOptions): Listeners {
	const inherited = handoverState.take(listenersSection);
	const all = inherited ? inherited.map(({ uri, fd, file }) => takeListener(uri, fd, file)) : openAll(options);
	const { recovered } = options;
	const haveChanged =
		recovered !== null &&
		(all.length !== recovered.length || all.some(({ inode }, index) => inode !== recovered[index]?.inode));
	handoverState.leave(listenersSection, () => ({
		state: all.map(({ uri, fd, file }) => ({ uri, fd, file })),
		fds: all.map(({ fd }) => fd),
	}));
	return { all, haveChanged, close: () => all.forEach(closeListener) };
}

function openAll({ uris, recovered, orphaned, deniedPids, say }: Omit<ListenersOptions, 'handoverState'>): Listener[] {
	const listeners: Listener[] = [];
	const opened: Listener[] = [];
	const stored = storedListeners(process.env);
	stored.dropUnmeant(uris);
	const spare = new Set([...(recovered ?? []), ...orphaned]);
	// The original's last release hands its socket to its successor so. It is none of a child's business.
	const { SOCKETMASTER_FD } = process.env;
	delete process.env.SOCKETMASTER_FD;
	try {
		for (const [index, uri] of uris.entries()) {
			const isSame = (listener: Listener) => withoutOptions(listener.uri) === withoutOptions(uri);
			const known = [...spare].find(isSame) ?? stored.take(uri, index);
			if (known) spare.delete(known);
			const kept = known && StartError.unless('Unable to open socket', () => withOptions(known, uri));
			if (listeners.some(({ fd }) => withoutOptions(uri) === `fd://${fd}`))
				throw new StartError(`Unable to open socket ${uri.replace('://', ' ')}: bad file descriptor`);
			const listener = kept ?? openOrInherit(uri, index === 0 ? SOCKETMASTER_FD : undefined, deniedPids);
			say(`Listening on ${uri}`);
			const unknown = unknownOptions(splitUri(uri).query);
			if (unknown.length > 0) say(`${uri}: ${unknown.join(', ')} means nothing, and is ignored`);
			if (/:0*$/.test(withoutOptions(uri))) say(`Bound to ${listener.address}`);
			listeners.push(listener);
			if (!kept) opened.push(listener);
		}
	} catch (error) {
		// What was taken over is still served: its path has to stay.
		opened.forEach(closeListener);
		throw error;
	}
	// Whose path nobody is to be reached by any more: it goes too.
	for (const listener of spare) closeListener(listener);
	stored.dropRest();
	storeListeners(process.env, listeners);
	return listeners;
}

/** @param fd names an inherited socket to use instead. @throws {StartError} */
function openOrInherit(uri: string, fd: string | undefined, deniedPids: number[]): Listener {
	const holders = deniedPids.length > 0 ? `; children of an earlier supervisor hold it: ${deniedPids.join(', ')}` : '';
	return StartError.unless(
		'Unable to open socket',
		() => (fd ? withOptions(openListener(`fd://${fd}`), uri) : { ...openListener(withoutName(uri, process.env)), uri }),
		holders,
	);
}
