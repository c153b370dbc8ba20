/** Sentences for the operator: why a child is not seen to accept, and what to change. */
import type { Listener } from '../sockets/listener.ts';
import type { Found } from './treeLook.ts';

/** At most this many listeners or addresses are named. */
const mostNamed = 3;

interface NotAccepting extends Pick<Found, 'notHeld' | 'notAccepted' | 'polled' | 'isStopped'> {
	/** Other addresses on which the process listens. */
	elsewhere: string[];
}

/** @param missing listeners, as `tcp://:80 (its fd 3)` */
export function whyNotHeld(pid: number, missing: string[]): string {
	return `${pid} does not hold ${listed(missing)}`;
}

/** @param describe formats a listener as `tcp://:80 (its fd 3)` */
export function whyNotAccepting(
	pid: number,
	{ notHeld, notAccepted, polled, isStopped, elsewhere }: NotAccepting,
	describe: (listener: Listener) => string,
): string {
	const notOn = `does not accept on ${listed(notAccepted.map(describe))}`;
	if (elsewhere.length > 0) return `${pid} listens on ${listed(elsewhere)} and ${notOn}: see docs/servers.md`;
	if (isStopped) return `${pid} is stopped and ${notOn}`;
	if (notHeld.length === notAccepted.length) return `${whyNotHeld(pid, notHeld.map(describe))}: see docs/servers.md`;
	// The event loop is busy, or never waits.
	if (polled.length === notAccepted.length) {
		return `${pid} polls ${listed(polled.map(describe))}, and was not seen to wait for it: see docs/servers.md`;
	}
	return `${pid} ${notOn}: see docs/servers.md`;
}

function listed(names: string[]): string {
	const rest = names.length - mostNamed;
	return rest > 0 ? `${names.slice(0, mostNamed).join(', ')} and ${rest} more` : names.join(', ');
}
