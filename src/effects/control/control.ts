/** The control socket of one supervisor: it costs next to nothing until somebody connects. */
import type { Fact } from '../../machines/facts.ts';
import { wordsOf } from '../os/words.ts';
import { doorPart, openSocketDoor, type SocketDoorOptions } from '../sockets/door.ts';
import { type ControlServer, type ControlServerOptions, controlServer } from './server.ts';

const controlPart = doorPart('control');

export type ControlOptions = Omit<ControlServerOptions, 'pause' | 'resume'> &
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
	const door = openSocketDoor({ path, part: controlPart, inheritance, log, client });

	function client(fd: number) {
		server ??= controlServer({ ...subject, pause: door.pause, resume: door.resume });
		server.serve(fd);
	}

	return {
		note: (fact) => {
			try {
				server?.note(fact);
			} catch (error) {
				log.say('error', `The control socket could not tell of a fact: ${wordsOf(error)}`);
			}
		},
		close: door.close,
	};
}
