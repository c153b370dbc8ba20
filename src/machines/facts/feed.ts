/** The format of facts in a journal and in the stream to the inspector page. */

import type { Rotation } from '../state/rotations.ts';
import type { SupervisorState } from '../state/supervisorState.ts';
import type { Fact } from './facts.ts';

/** The journal's format version. It is incremented when an older program could misread a newer journal. */
export const journalFormat = 5;

/** The origin of facts: the supervisor that wrote a journal, or a simulation. */
export interface Source {
	/** Shown on the page: the path of the journal or control socket, or a description of the simulation. */
	name: string;
	isImagined: boolean;
	/** The supervisor's run id, which its children have as SOCKETMASTER_RUN; null for a simulation. */
	run: string | null;
	program: string | null;
	pid: number | null;
	listeners: { uri: string; address: string }[];
	/** The supervisor that wrote the last facts is alive. */
	isWritten: boolean;
}

/** What a running supervisor says of itself beside its facts. */
export interface Report {
	/** Its living children: open connections (null: not known), and what each says with STATUS=. */
	children: { pid: number | null; connections: number | null; status: string | null }[];
	/** The rotations that it keeps, oldest first. */
	rotations: Rotation[];
}

/**
 * A line of the journal after its header: a fact, or a checkpoint. With `gap`, some earlier facts could not be written.
 */
export type Line = Fact | { checkpoint: SupervisorState; seq: number; at: number; gap?: true | undefined };
