/** How facts are written down and sent: to a journal, and to the inspector's page. */

import type { SupervisorState } from '../state/supervisorState.ts';
import type { Fact } from './facts.ts';

/** Of a journal: counted up when an older program could misread a newer file. */
export const journalFormat = 5;

/** Where facts come from: a journal's supervisor, or nobody. */
export interface Source {
	/** For people: the journal's path, or what is imagined. */
	name: string;
	isImagined: boolean;
	/** The supervisor's own name for itself, as its children have it; null where there is none. */
	run: string | null;
	program: string | null;
	pid: number | null;
	listeners: { uri: string; address: string }[];
	/** The supervisor that wrote last lives. */
	isWritten: boolean;
}

/** A line of the story, as the journal has it. */
export type Line = Fact | { checkpoint: SupervisorState; seq: number; at: number; gap?: true | undefined };
