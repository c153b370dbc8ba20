/** Examines the children's processes for a status: the connections that they hold, and whether they accept. */
import type { Projections } from '../../machines/state/projections.ts';
import type { ChildState } from '../../machines/state/supervisorState.ts';
import type { StillAccepting } from '../children/stillAccepting.ts';
import type { Listener } from '../sockets/listener.ts';
import { connectionsOf } from './heldConnections.ts';
import type { Looked } from './statusReport.ts';

/** Limit for the children examined for `accepting` in one status. For further children the value is null. */
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
		return { held, accepting: await accepting(pidsInDoubt(children).slice(0, mostLooked)) };
	}
}

/**
 * Draining children should not accept. Serving children count if the last listener check did not see them accept.
 */
export function pidsInDoubt(children: ChildState[]): number[] {
	return children.flatMap(({ pid, phase, unseen }) =>
		pid !== null && (phase === 'draining' || (phase === 'serving' && unseen !== null)) ? pid : [],
	);
}
