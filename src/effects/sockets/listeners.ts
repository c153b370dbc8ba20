/** Opens, recovers, hands over and closes the listeners of one supervisor. */
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
	/** Listeners from the children of a killed supervisor; null if this supervisor takes over no children. */
	recovered: Listener[] | null;
	/** Listeners from surviving processes of a killed supervisor, if this supervisor takes over no children. */
	orphaned: Listener[];
	/** Children of an earlier supervisor that cannot be taken over: they can hold an address that is in use. */
	deniedPids: number[];
	say: (text: string) => void;
}

export interface Listeners {
	all: Listener[];
	/** Whether the children that were taken over hold other sockets than these listeners. */
	haveChanged: boolean;
	/** Closes the listeners, and removes the socket files that they created. */
	close: () => void;
}

/**
 * Returns a listener for each URI. After an upgrade, the listeners come from the handover state. Otherwise each is
 * taken from the processes of a killed supervisor, or from the store of systemd, or is opened anew.
 * @throws {StartError}
 */
export function openListeners({ handoverState, ...options }: ListenersOptions): Listeners {
	const inherited = handoverState.restore(listenersSection);
	const all = inherited ? inherited.map(({ uri, fd, file }) => takeListener(uri, fd, file)) : openAll(options);
	const { recovered } = options;
	const haveChanged =
		recovered !== null &&
		(all.length !== recovered.length || all.some(({ inode }, index) => inode !== recovered[index]?.inode));
	handoverState.save(listenersSection, () => ({
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
	// The last release of the original program passes its socket to its successor this way. Children must not inherit it.
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
		// Children still serve the listeners that were taken over, so their paths stay.
		opened.forEach(closeListener);
		throw error;
	}
	// No URI names these listeners any more: their paths are removed too.
	for (const listener of spare) closeListener(listener);
	stored.dropRest();
	storeListeners(process.env, listeners);
	return listeners;
}

/** @param fd the number of an inherited socket that is used instead of a new one. @throws {StartError} */
function openOrInherit(uri: string, fd: string | undefined, deniedPids: number[]): Listener {
	const holders = deniedPids.length > 0 ? `; children of an earlier supervisor hold it: ${deniedPids.join(', ')}` : '';
	return StartError.unless(
		'Unable to open socket',
		() => (fd ? withOptions(openListener(`fd://${fd}`), uri) : { ...openListener(withoutName(uri, process.env)), uri }),
		holders,
	);
}
