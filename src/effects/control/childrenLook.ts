/** Examines the children's processes for a status: the connections that they hold, and whether they accept. */
import type { Projections } from '../../machines/state/projections.ts';
import type { ChildState } from '../../machines/state/supervisorState.ts';
import type { StillAccepting } from '../children/stillAccepting.ts';
import type { Listener } from '../sockets/listener.ts';
import { connectionsOf } from './heldConnections.ts';
import type { Looked } from './statusReport.ts';

/** Limit for the children examined in one status. Of further children it is not known whether they accept now. */
const mostLooked = 200;

export interface ChildrenLookOptions {
	listeners: Listener[];
	accepting: StillAccepting;
	past: () => Projections;
}

export class ChildrenLook {
	readonly #options: ChildrenLookOptions;
	#looking: Promise<Looked> | null = null;

	constructor(options: ChildrenLookOptions) {
		this.#options = options;
	}

	/** Requests that arrive while the children are examined share the result. */
	look(): Promise<Looked> {
		this.#looking ??= this.#lookNow().finally(() => {
			this.#looking = null;
		});
		return this.#looking;
	}

	async #lookNow(): Promise<Looked> {
		const { listeners, accepting, past } = this.#options;
		const children = past().state?.children ?? [];
		const held = await connectionsOf(
			listeners,
			children.flatMap(({ pid }) => pid ?? []),
		);
		const { leaving, unseen } = pidsInDoubt(children, mostLooked);
		return { held, accepting: await accepting(leaving), accepted: await accepting(unseen, 'each') };
	}
}

/**
 * The first `most` children of which it is in doubt whether they accept: those that drain should not, and those that serve
 * should, although the last listener check did not see it.
 */
export function pidsInDoubt(children: ChildState[], most: number): { leaving: number[]; unseen: number[] } {
	const pids = (wanted: (child: ChildState) => boolean) =>
		children.flatMap((child) => (child.pid !== null && wanted(child) ? child.pid : []));
	const leaving = pids(({ phase }) => phase === 'draining').slice(0, most);
	const unseen = pids(({ phase, unseen }) => phase === 'serving' && unseen !== null);
	return { leaving, unseen: unseen.slice(0, most - leaving.length) };
}
