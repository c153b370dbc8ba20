/** The control socket of one supervisor: it costs next to nothing until somebody connects. */
import type { Fact } from '../../machines/facts/facts.ts';
import { wordsOf } from '../os/errorText.ts';
import { doorPart, openSocketDoor, type SocketDoorOptions } from '../sockets/unixServer.ts';
import { type ControlServer, type ControlServerOptions, controlServer } from './controlServer.ts';

const controlPart = doorPart('control');

/** So many facts are kept while nobody has connected. */
const mostRecent = 32;

export type ControlOptions = Omit<ControlServerOptions, 'recent' | 'pause' | 'resume'> &
	Omit<SocketDoorOptions, 'part' | 'client'>;

export interface Control {
	/** A fact was recorded. */
	note: (fact: Fact) => void;
	/** Removes the socket, too. */
	close: () => void;
}

/** @throws {Error} */
export function openControl({ path, inheritance, log, ...subject }: ControlOptions): Control {
	let server: ControlServer | null = null;
	/** For a reader that comes back after an upgrade: it has missed few. */
	const recent: Fact[] = [];
	const door = openSocketDoor({ path, part: controlPart, inheritance, log, client });

	function client(fd: number) {
		server ??= controlServer({ ...subject, recent: recent.splice(0), pause: door.pause, resume: door.resume });
		server.serve(fd);
	}

	return {
		note: (fact) => {
			try {
				if (server) return server.note(fact);
				recent.push(fact);
				if (recent.length > mostRecent) recent.shift();
			} catch (error) {
				log.say('error', `The control socket could not tell of a fact: ${wordsOf(error)}`);
			}
		},
		close: door.close,
	};
}
