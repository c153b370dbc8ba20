/** Keeps the listeners in systemd's file descriptor store, so that they stay open after this process exits. */
import { closeSync } from 'node:fs';
import { closeAll, makePipe, moveUp } from '../os/descriptors.ts';
import { sendDatagram } from '../os/message.ts';
import { awaitHangUp } from '../os/poll.ts';
import { fileOf } from '../os/proc.ts';
import { passedSockets } from './activation.ts';
import { addressesOf, isAmong } from './address.ts';
import { type Listener, takeListener } from './listener.ts';
import { isListening } from './socket.ts';

const prefix = 'socketmaster-';

/** How long systemd may take to close the sockets that are removed from its store. */
const hangUpTimeoutMs = 5000;

/** Sends the listeners to the store. Without NOTIFY_SOCKET, does nothing. */
export function storeListeners(env: NodeJS.ProcessEnv, listeners: Listener[]): void {
	for (const [index, { uri, fd }] of listeners.entries()) {
		// systemd already holds the sockets that it passes itself.
		if (!/^fd:/i.test(uri)) notifyManager(env, `FDSTORE=1\nFDNAME=${prefix}${index}`, fd);
	}
}

interface Stored {
	name: string;
	listener: Listener;
}

/**
 * The listeners that systemd passes from its store. A stored listener is matched to a URI by its bound address, because
 * its index can differ from that of the earlier command line.
 */
export function storedListeners(env: NodeJS.ProcessEnv) {
	const kept = readStored(env);

	/** A URI with port 0 can be bound to any port, so its stored listener must also have the same index. */
	function isMeant({ name, listener }: Stored, uri: string, index: number): boolean {
		return isAmong(addressesOf(uri), listener.address, name === `${prefix}${index}`);
	}

	function take(uri: string, index: number): Listener | null {
		const found = kept.findIndex((each) => isMeant(each, uri, index));
		const [stored] = found < 0 ? [] : kept.splice(found, 1);
		return stored ? { ...stored.listener, uri } : null;
	}

	/**
	 * Closes the stored listeners that match no URI, and waits until systemd has closed them too. An open one can block
	 * bind(2) on a new address.
	 */
	function dropUnmeant(uris: string[]) {
		const isUnmeant = (each: Stored) => !uris.some((uri, index) => isMeant(each, uri, index));
		const unmeant = kept.filter(isUnmeant);
		if (unmeant.length === 0) return;
		drop(unmeant);
		kept.splice(0, kept.length, ...kept.filter((each) => !isUnmeant(each)));
		awaitManager(env);
	}

	/** Closes the stored listeners that no URI has taken. */
	function dropRest() {
		drop(kept.splice(0));
	}

	function drop(stored: Stored[]) {
		for (const { name, listener } of stored) {
			notifyManager(env, `FDSTOREREMOVE=1\nFDNAME=${name}`, null);
			closeSync(listener.fd);
		}
	}

	return { take, dropUnmeant, dropRest };
}

function readStored(env: NodeJS.ProcessEnv): Stored[] {
	return passedSockets(env).flatMap(({ name, fd }) => {
		const isSocket = fileOf('self', fd)?.startsWith('socket:');
		// If systemd did not pass the fd, the number can belong to a file of Node's event loop.
		if (!name.startsWith(prefix) || !isSocket) return [];
		// A process has shut the socket down: it cannot accept connections.
		if (!isListening(fd)) {
			notifyManager(env, `FDSTOREREMOVE=1\nFDNAME=${name}`, null);
			closeAll([fd]);
			return [];
		}
		return [{ name, listener: takeListener('', moveUp(fd)) }];
	});
}

/**
 * Waits up to 5 s until systemd has processed all earlier messages: systemd closes the fd that comes with BARRIER=1
 * only then (sd_notify_barrier(3)).
 */
function awaitManager(env: NodeJS.ProcessEnv) {
	const [read, write] = makePipe();
	try {
		notifyManager(env, 'BARRIER=1', write);
		// systemd has a duplicate.
		closeSync(write);
		awaitHangUp(read, hangUpTimeoutMs);
	} finally {
		closeSync(read);
	}
}

/** The store is optional: a failed send is ignored. */
function notifyManager({ NOTIFY_SOCKET }: NodeJS.ProcessEnv, text: string, fd: number | null) {
	if (!NOTIFY_SOCKET) return;
	try {
		sendDatagram(NOTIFY_SOCKET, text, fd);
	} catch {
		// The store stays as it is.
	}
}
