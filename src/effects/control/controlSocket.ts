/** The control socket of one supervisor: it costs next to nothing until somebody connects. */
import type { Fact } from '../../machines/facts/facts.ts';
import { errorText } from '../os/errorText.ts';
import { openUnixServer, type UnixServerOptions, unixServerSection } from '../sockets/unixServer.ts';
import { type ControlServer, type ControlServerOptions, controlServer } from './controlServer.ts';

const controlSection = unixServerSection('control');

/** So many facts are kept while nobody has connected. */
const mostRecent = 32;

export type ControlOptions = Omit<ControlServerOptions, 'recent' | 'pause' | 'resume'> &
	Omit<UnixServerOptions, 'section' | 'client'>;

export interface Control {
	/** A fact was recorded. */
	note: (fact: Fact) => void;
	/** Removes the socket, too. */
	close: () => void;
}

/** @throws {Error} */
export function openControl({ path, handoverState, log, ...subject }: ControlOptions): Control {
	let server: ControlServer | null = null;
	/** For a reader that comes back after an upgrade: it has missed few. */
	const recent: Fact[] = [];
	const dispatcher = openUnixServer({ path, section: controlSection, handoverState, log, client });

	function client(fd: number) {
		server ??= controlServer({
			...subject,
			recent: recent.splice(0),
			pause: dispatcher.pause,
			resume: dispatcher.resume,
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
		close: dispatcher.close,
	};
}
