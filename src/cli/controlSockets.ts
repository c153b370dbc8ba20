/** The supervisor's own sockets: the control socket, and the share socket that hands out the listeners. */
import { type Control, type ControlOptions, openControl } from '../effects/control/controlSocket.ts';
import type { Log } from '../effects/log/log.ts';
import { shareListeners } from '../effects/sockets/share.ts';
import { StartError } from '../effects/startError.ts';
import type { HandoverState } from '../effects/upgrade/handoverState.ts';
import type { Options } from './flags.ts';
import { runtimeFile, type Startup } from './startup.ts';

export interface ControlSocketsOptions {
	options: Options;
	startup: Startup;
	handoverState: HandoverState;
	log: Log;
	/** What the control socket reports about and acts on. */
	subject: Omit<ControlOptions, 'path' | 'handoverState' | 'log'>;
}

export interface ControlSockets {
	control: Control | null;
	close: () => void;
}

/**
 * Opens both sockets. If a socket cannot be opened while children already serve, the error is logged and supervision
 * continues. The same applies to the default control socket, which no flag names.
 * @throws {StartError} after both sockets are closed
 */
export function openControlSockets({
	options,
	startup,
	handoverState,
	log,
	subject,
}: ControlSocketsOptions): ControlSockets {
	const [path, sharePath] = [options.control || runtimeFile('control'), options.share];
	const orNothing = <T>(what: string, isConfigured: boolean, open: () => T): T | null => {
		try {
			return StartError.unless(`Unable to open ${what}:`, open);
		} catch (error) {
			if (isConfigured && startup.state === null) throw error;
			log.say('error', (error as Error).message);
			return null;
		}
	};
	const control =
		path === null
			? null
			: orNothing(`control socket ${path}`, options.control !== '', () =>
					openControl({ path, handoverState, log, ...subject }),
				);
	try {
		const share =
			sharePath === ''
				? null
				: orNothing(`share socket ${sharePath}`, true, () =>
						shareListeners({ path: sharePath, handoverState, log, listeners: startup.listeners.all }),
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
