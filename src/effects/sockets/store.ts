/** systemd's file descriptor store: it keeps the listeners, so that they outlive even this process. */
import { closeSync } from 'node:fs';
import { moveUp } from '../os/descriptors.ts';
import { sendDatagram } from '../os/message.ts';
import { fileOf } from '../os/proc.ts';
import { passedSockets } from './activation.ts';
import { addressOfUri } from './address.ts';
import { type Listener, takeListener } from './listener.ts';
import { isListening } from './socket.ts';

const prefix = 'socketmaster-';

/** Has the manager keep the listeners; nothing where there is no manager. */
export function storeListeners(env: NodeJS.ProcessEnv, listeners: Listener[]): void {
	for (const [index, { fd }] of listeners.entries()) tell(env, `FDSTORE=1\nFDNAME=${prefix}${index}`, fd);
}

interface Stored {
	name: string;
	listener: Listener;
}

/** The listeners that the manager kept for us: each is known by what it is bound to, not by its place alone. */
export function storedListeners(env: NodeJS.ProcessEnv) {
	const kept = readStored(env);

	/** The one of that address; of a free port, which can have become any, the one of that place. */
	function take(uri: string, index: number): Listener | null {
		const address = addressOfUri(uri);
		const found = kept.findIndex(({ name, listener }) =>
			address?.endsWith(':0')
				? name === `${prefix}${index}` && hostOf(listener.address) === hostOf(address)
				: listener.address === address,
		);
		const [stored] = found < 0 ? [] : kept.splice(found, 1);
		return stored ? { ...stored.listener, uri } : null;
	}

	/** Those that nothing is served on any more. */
	function dropRest() {
		for (const { name, listener } of kept.splice(0)) {
			tell(env, `FDSTOREREMOVE=1\nFDNAME=${name}`, null);
			closeSync(listener.fd);
		}
	}

	return { take, dropRest };
}

function readStored(env: NodeJS.ProcessEnv): Stored[] {
	return passedSockets(env).flatMap(({ name, fd }) => {
		const isSocket = fileOf('self', fd)?.startsWith('socket:');
		if (!name.startsWith(prefix) || !isSocket || !isListening(fd)) return [];
		return [{ name, listener: takeListener('', moveUp(fd)) }];
	});
}

function hostOf(address: string): string {
	return address.slice(0, address.lastIndexOf(':'));
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
