/** The statechart of an upgrade: the new program is checked first, and takes over only if it passes the check. */
import { type EventObject, fromCallback, setup } from 'xstate';
import type { Decision, FactOf } from '../facts/facts.ts';

const notProvided = (what: string) => () => {
	throw new Error(`the ${what} was not provided`);
};

export type UpgradeRequest = FactOf<'signal.USR1' | 'signal.USR2' | 'upgrade.requested'>;

export type UpgradeEvent = UpgradeRequest | FactOf<'upgrade.verified' | 'upgrade.refused' | 'upgrade.failed'>;

const base = setup({
	types: { events: {} as UpgradeEvent },
	actors: {
		/**
		 * Runs the new program in a mode that checks everything and starts nothing. Sends `upgrade.verified` or
		 * `upgrade.refused`.
		 */
		preflight: fromCallback<EventObject, void>(notProvided('preflight actor')),
		/** Executes the new program in this process. Sends `upgrade.failed` if that fails, and nothing otherwise. */
		handover: fromCallback<EventObject, void>(notProvided('handover actor')),
	},
	actions: {
		decide: (_, _decision: Decision) => notProvided('decide action')(),
	},
});

const begin = { target: 'checking', actions: { type: 'decide', params: { type: 'upgrade.begun' } } } as const;

const decisions = {
	refused: ({ event }: { event: UpgradeRequest }): Decision => ({
		type: 'request.refused',
		request: event.type,
		reason: 'upgrading',
	}),
};

const refusal = { actions: { type: 'decide', params: decisions.refused } } as const;

export const upgradeMachine = base.createMachine({
	id: 'upgrade',
	description: 'An upgrade replaces the program of the running supervisor.',
	initial: 'idle',
	states: {
		idle: {
			tags: 'resting',
			description: 'No upgrade is under way.',
			on: { 'signal.USR1': begin, 'signal.USR2': begin, 'upgrade.requested': begin },
		},
		checking: {
			tags: 'coming',
			description: 'The new program checks itself in a separate process.',
			invoke: { id: 'preflight', src: 'preflight' },
			on: {
				'upgrade.verified': 'handingOver',
				'upgrade.refused': 'idle',
				'signal.USR1': refusal,
				'signal.USR2': refusal,
				'upgrade.requested': refusal,
			},
		},
		handingOver: {
			tags: 'coming',
			description: 'The log is written out, and the new program takes over this process.',
			invoke: { id: 'handover', src: 'handover' },
			on: {
				'upgrade.failed': 'idle',
				'signal.USR1': refusal,
				'signal.USR2': refusal,
				'upgrade.requested': refusal,
			},
		},
	},
});
