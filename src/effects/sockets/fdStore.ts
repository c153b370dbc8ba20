/** systemd's file descriptor store: it keeps the listeners, so that they outlive even this process. */
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

/** How long the manager may take to forget a socket, in milliseconds. */
const hangUpTimeoutMs = 5000;

/** Has the manager keep the listeners; nothing where there is no manager. */
export function storeListeners(env: NodeJS.ProcessEnv, listeners: Listener[]): void {
	for (const [index, { uri, fd }] of listeners.entries()) {
		// It has those that it has given itself.
		if (!/^fd:/i.test(uri)) tell(env, `FDSTORE=1\nFDNAME=${prefix}${index}`, fd);
	}
}

interface Stored {
	name: string;
	listener: Listener;
}

/** The listeners that the manager kept for us: each is known by what it is bound to, not by its place alone. */
export function storedListeners(env: NodeJS.ProcessEnv) {
	const kept = readStored(env);

	/** The one of that address; of a free port, which can have become any, the one of that place. */
	function isMeant({ name, listener }: Stored, uri: string, index: number): boolean {
		return isAmong(addressesOf(uri), listener.address, name === `${prefix}${index}`);
	}

	function take(uri: string, index: number): Listener | null {
		const found = kept.findIndex((each) => isMeant(each, uri, index));
		const [stored] = found < 0 ? [] : kept.splice(found, 1);
		return stored ? { ...stored.listener, uri } : null;
	}

	/** Those that none of the URIs means: what is listened on now may be in their way. */
	function dropUnmeant(uris: string[]) {
		const isUnmeant = (each: Stored) => !uris.some((uri, index) => isMeant(each, uri, index));
		const unmeant = kept.filter(isUnmeant);
		if (unmeant.length === 0) return;
		drop(unmeant);
		kept.splice(0, kept.length, ...kept.filter((each) => !isUnmeant(each)));
		awaitManager(env);
	}

	/** Those that nothing is served on any more. */
	function dropRest() {
		drop(kept.splice(0));
	}

	function drop(stored: Stored[]) {
		for (const { name, listener } of stored) {
			tell(env, `FDSTOREREMOVE=1\nFDNAME=${name}`, null);
			closeSync(listener.fd);
		}
	}

	return { take, dropUnmeant, dropRest };
}

function readStored(env: NodeJS.ProcessEnv): Stored[] {
	return passedSockets(env).flatMap(({ name, fd }) => {
		const isSocket = fileOf('self', fd)?.startsWith('socket:');
		// One that is not there may be a number of our own event loop's.
		if (!name.startsWith(prefix) || !isSocket) return [];
		// Somebody has shut it down: it is of no use to anybody.
		if (!isListening(fd)) {
			tell(env, `FDSTOREREMOVE=1\nFDNAME=${name}`, null);
			closeAll([fd]);
			return [];
		}
		return [{ name, listener: takeListener('', moveUp(fd)) }];
	});
}

/** Waits until it has done what it was told before: it closes what it is sent then (sd_notify_barrier(3)). */
function awaitManager(env: NodeJS.ProcessEnv) {
	const [read, write] = makePipe();
	try {
		tell(env, 'BARRIER=1', write);
		// It has its own.
		closeSync(write);
		awaitHangUp(read, hangUpTimeoutMs);
	} finally {
		closeSync(read);
	}
}

/** A manager that is not there, or takes no more, is no error of ours. */
function tell({ NOTIFY_SOCKET }: NodeJS.ProcessEnv, text: string, fd: number | null) {
	if (!NOTIFY_SOCKET) return;
	try {
		sendDatagram(NOTIFY_SOCKET, text, fd);
	} catch {
		// It keeps what it had.
	}
}
