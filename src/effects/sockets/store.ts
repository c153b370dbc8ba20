/** systemd's file descriptor store: it keeps the listeners, so that they outlive even this process. */
import { moveUp } from '../os/descriptors.ts';
import { sendDatagram } from '../os/message.ts';
import { type Listener, takeListener } from './listener.ts';

const nameOf = (index: number) => `socketmaster-${index}`;

/** Has the manager keep the listeners; nothing where there is no manager. */
export function storeListeners({ NOTIFY_SOCKET }: NodeJS.ProcessEnv, listeners: Listener[]): void {
	if (!NOTIFY_SOCKET) return;
	for (const [index, { fd }] of listeners.entries()) {
		try {
			sendDatagram(NOTIFY_SOCKET, `FDSTORE=1\nFDNAME=${nameOf(index)}`, fd);
		} catch {
			// A manager that is not there, or takes no more, is no error of ours.
		}
	}
}

/** The listener of that place, if the manager kept it for us. */
export function takeStored(env: NodeJS.ProcessEnv, uri: string, index: number): Listener | null {
	if (Number(env.LISTEN_PID) !== process.pid) return null;
	const place = (env.LISTEN_FDNAMES ?? '').split(':').indexOf(nameOf(index));
	return place < 0 ? null : takeListener(uri, moveUp(3 + place));
}
