/** The supervisor's own replacement: the new program is checked first, and takes over only if it is sound. */
import { type EventObject, fromCallback, setup } from 'xstate';
import type { Fact, Report } from './facts.ts';

const notProvided = (what: string) => () => {
	throw new Error(`the ${what} was not provided`);
};

export const upgradeMachine = setup({
	types: { events: {} as Fact },
	actors: {
		/** Runs the new program in a mode that checks everything and starts nothing; tells `upgrade.verified` or `.refused`. */
		preflight: fromCallback<EventObject, void>(notProvided('preflight actor')),
		/** Becomes the new program; only when that fails it tells, `upgrade.refused`. */
		handover: fromCallback<EventObject, void>(notProvided('handover actor')),
	},
	actions: {
		report: (_, _report: Report) => notProvided('report action')(),
	},
}).createMachine({
	id: 'upgrade',
	initial: 'idle',
	states: {
		idle: {
			on: {
				'signal.USR1': { target: 'checking' },
				'signal.USR2': { target: 'checking' },
			},
		},
		checking: {
			entry: { type: 'report', params: { level: 'info', text: 'Upgrade: checking the new program' } },
			invoke: { id: 'preflight', src: 'preflight' },
			on: {
				'upgrade.verified': 'handingOver',
				'upgrade.refused': {
					target: 'idle',
					actions: {
						type: 'report',
						params: ({ event }) => ({ level: 'error', text: `Upgrade refused: ${event.reason}; nothing has changed` }),
					},
				},
				'signal.USR1': { actions: { type: 'report', params: alreadyUpgrading } },
				'signal.USR2': { actions: { type: 'report', params: alreadyUpgrading } },
			},
		},
		handingOver: {
			invoke: { id: 'handover', src: 'handover' },
			on: {
				'upgrade.refused': {
					target: 'idle',
					actions: {
						type: 'report',
						params: ({ event }) => ({ level: 'error', text: `Upgrade failed: ${event.reason}; nothing has changed` }),
					},
				},
				'signal.USR1': { actions: { type: 'report', params: alreadyUpgrading } },
				'signal.USR2': { actions: { type: 'report', params: alreadyUpgrading } },
			},
		},
	},
});

function alreadyUpgrading(): Report {
	return { level: 'warn', text: 'Upgrade refused: one is under way already' };
}
