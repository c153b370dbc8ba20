/** The sockets of a supervisor's own: the control socket, and the one that hands the listeners out. */
import { type Control, type ControlOptions, openControl } from '../effects/control/controlSocket.ts';
import type { Log } from '../effects/log/log.ts';
import { shareListeners } from '../effects/sockets/share.ts';
import { StartError } from '../effects/startError.ts';
import type { Inheritance } from '../effects/upgrade/handoverState.ts';
import type { Options } from './flags.ts';
import { type Origin, runtimeFile } from './startup.ts';

export interface DoorsOptions {
	options: Options;
	origin: Origin;
	inheritance: Inheritance;
	log: Log;
	/** What the control socket tells of. */
	subject: Omit<ControlOptions, 'path' | 'inheritance' | 'log'>;
}

export interface Doors {
	control: Control | null;
	close: () => void;
}

/** Where children serve already, one that can't be opened is no reason to end. @throws {StartError} with nothing left behind */
export function openDoors({ options, origin, inheritance, log, subject }: DoorsOptions): Doors {
	const [path, sharePath] = [options.control || runtimeFile('control'), options.share];
	const orNothing = <T>(what: string, isAskedFor: boolean, open: () => T): T | null => {
		try {
			return StartError.unless(`Unable to open ${what}:`, open);
		} catch (error) {
			if (isAskedFor && origin.state === null) throw error;
			log.say('error', (error as Error).message);
			return null;
		}
	};
	const control =
		path === null
			? null
			: orNothing(`control socket ${path}`, options.control !== '', () =>
					openControl({ path, inheritance, log, ...subject }),
				);
	try {
		const share =
			sharePath === ''
				? null
				: orNothing(`share socket ${sharePath}`, true, () =>
						shareListeners({ path: sharePath, inheritance, log, listeners: origin.listeners.all }),
					);
		return {
			control,
			close: () => {
				control?.close();
				share?.close();
			},
		};
	} catch (error) {
		control?.close();
		throw error;
	}
}
