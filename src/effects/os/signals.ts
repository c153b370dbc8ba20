/** OS signals as a stream. */
import { Observable } from 'rxjs';
import type { Happening } from '../../machines/facts.ts';

/** Signals that came before there was anybody to tell: the launcher catches them from its first statement on. */
declare const earlySignals: { stop: () => (typeof handled)[number][] } | undefined;

const handled = ['HUP', 'TERM', 'INT', 'QUIT', 'USR1', 'USR2'] as const;

/** A fact for every signal the supervisor obeys, for as long as it is subscribed to. */
export function signals(): Observable<Happening> {
	return new Observable((subscriber) => {
		const handlers = handled.map(
			(name) => [`SIG${name}` as const, () => subscriber.next({ type: `signal.${name}` })] as const,
		);
		for (const [name, handler] of handlers) process.on(name, handler);
		for (const name of releaseSignals()) subscriber.next({ type: `signal.${name}` });
		return () => {
			for (const [name, handler] of handlers) process.off(name, handler);
		};
	});
}

/** Gives the signals back to their default actions, as far as nobody listens. @returns those that have come so far */
export function releaseSignals(): (typeof handled)[number][] {
	return typeof earlySignals === 'undefined' ? [] : earlySignals.stop();
}
