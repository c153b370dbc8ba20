/** The control socket of one supervisor. Its server is created when the first client connects. */
import type { Fact } from '../../machines/facts/facts.ts';
import { errorText } from '../os/errorText.ts';
import { openUnixServer, type UnixServerOptions, unixServerSection } from '../sockets/unixServer.ts';
import { type ControlServer, type ControlServerOptions, controlServer } from './controlServer.ts';

const controlSection = unixServerSection('control');

/** Limit for the facts kept before the first client connects. */
const mostRecent = 32;

export type ControlOptions = Omit<ControlServerOptions, 'recent' | 'pause' | 'resume'> &
	Omit<UnixServerOptions, 'section' | 'client'>;

export interface Control {
	note: (fact: Fact) => void;
	/** Closes the socket and removes its file. */
	close: () => void;
}

/** @throws {Error} */
export function openControl({ path, handoverState, log, ...subject }: ControlOptions): Control {
	let server: ControlServer | null = null;
	/** For a reader that reconnects after an upgrade. It has missed few facts. */
	const recent: Fact[] = [];
	const unixServer = openUnixServer({ path, section: controlSection, handoverState, log, client });

	function client(fd: number) {
		server ??= controlServer({
			...subject,
			recent: recent.splice(0),
			pause: unixServer.pause,
			resume: unixServer.resume,
		});
		server.serve(fd);
	}

	return {
		note: (fact) => {
			try {
				if (server) return server.note(fact);
				recent.push(fact);
				if (recent.length > mostRecent) recent.shift();
			} catch (error) {
				log.say('error', `The control socket could not tell of a fact: ${errorText(error)}`);
			}
		},
		close: unixServer.close,
	};
}
