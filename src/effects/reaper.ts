/** The ends of child processes as a stream. */
import { Observable } from 'rxjs';
import { type Exit, reap } from './process.ts';

/**
 * Every process reaped, ours and orphans alike, for as long as it is subscribed to: one sweep at the
 * start, for those who ended before, and one for each SIGCHLD, which stands for one or more of them.
 */
export function exits(): Observable<Exit> {
	return new Observable((subscriber) => {
		const sweep = () => {
			for (const exit of reap()) subscriber.next(exit);
		};
		process.on('SIGCHLD', sweep);
		sweep();
		return () => process.off('SIGCHLD', sweep);
	});
}
