/** The children that share a rotation, each in its place: all of them up, one of them lost, its place filled again, all gone. */
import { newContext } from './generationContext.ts';
import { decisions, generationSetup } from './generationSetup.ts';

/** How a child that was lost leaves its place. */
const loss = {
	exhausted: {
		guard: 'isExhausted',
		target: '#generation.over',
		actions: ['vacate', { type: 'decide', params: decisions.exhausted }, 'noteExhausted', 'dropVacancies'],
	},
	exhaustedBesideOthers: {
		guard: 'isExhaustedBesideOthers',
		target: '#generation.alive.leaving',
		actions: [
			'vacate',
			{ type: 'decide', params: decisions.exhausted },
			'noteExhausted',
			'dropVacancies',
			'reportDegraded',
			'dismissRest',
		],
	},
} as const;

export const generationMachine = generationSetup.createMachine({
	id: 'generation',
	description: 'The children that were started together, and those that took the place of one that was lost.',
	context: ({ input }) => newContext(input),
	initial: 'beginning',
	states: {
		beginning: {
			tags: 'passing',
			description: 'Passed through at once: its children are spawned.',
			always: { target: 'alive', actions: 'spawnChildren' },
		},
		alive: {
			description: 'Some of its children live, or are to be started again.',
			on: {
				forward: [
					{ guard: 'isVacant', target: 'over', actions: 'dropVacancies' },
					{ actions: ['passOn', 'dropVacancies'] },
				],
				leave: [
					{ guard: 'isVacant', target: 'over', actions: 'dropVacancies' },
					{ target: '.leaving', actions: ['passOn', 'dropVacancies'] },
				],
				stop: [
					{ guard: 'isVacant', target: 'over', actions: 'dropVacancies' },
					{ target: '.leaving', actions: ['passOn', 'dropVacancies'] },
				],
				crowdOut: { actions: 'passOn' },
				childUp: { actions: 'noteUp' },
				childRejected: { actions: ['noteGoing', 'noteRejection', 'reportDegraded'] },
				'respawn.due': { actions: ['noteDue', 'askToFill'] },
				refill: { actions: 'askToFill' },
				resume: {
					actions: ['passOn', 'askToFill'],
					description: 'a place whose wait was over may have been held back, or about to be filled',
				},
				fill: { guard: 'isDue', actions: 'fill' },
				continue: {
					actions: ['ungate', 'passOn'],
					description: 'no other generation serves: none of it need be seen any more',
				},
			},
			initial: 'starting',
			states: {
				starting: {
					tags: 'coming',
					description: 'Its children come up.',
					on: {
						childUnverified: { target: 'degraded', actions: ['noteReason', 'reportDegraded'] },
						childRejected: { target: 'degraded', actions: ['noteGoing', 'noteRejection', 'reportDegraded'] },
						'xstate.done.actor.*': [
							loss.exhausted,
							loss.exhaustedBesideOthers,
							{ guard: 'isLastRespawned', target: 'degraded', actions: ['vacate', 'reportDegraded', 'reportEmpty'] },
							{ guard: 'isRespawned', target: 'degraded', actions: ['vacate', 'reportDegraded'] },
							{ guard: 'isLast', target: '#generation.over', actions: 'forget' },
							{ target: 'degraded', actions: ['forget', 'reportDegraded'] },
						],
					},
					always: { guard: 'isUp', target: 'serving', actions: ['ungate', 'reportUp'] },
				},
				degraded: {
					tags: 'ill',
					description: 'It is degraded before it ever was: the supervisor says what becomes of it.',
					on: {
						continue: { target: 'starting', actions: ['ungate', 'scheduleRespawns', 'passOn', 'askToFill'] },
					},
				},
				serving: {
					tags: 'well',
					description: 'All of its children were up; one that is lost is started again where -respawn is set.',
					on: {
						'xstate.done.actor.*': [
							{
								guard: 'isLastRespawned',
								actions: ['vacate', 'reportDegraded', 'reportEmpty', 'scheduleRespawns', 'askToFill'],
							},
							{ guard: 'isRespawned', actions: ['vacate', 'reportDegraded', 'scheduleRespawns', 'askToFill'] },
							{ guard: 'isLast', target: '#generation.over', actions: 'forget' },
							{ actions: ['forget', 'reportDegraded'] },
						],
					},
				},
				leaving: {
					tags: 'leaving',
					description: 'Its children were told to leave.',
					on: {
						'respawn.due': { description: 'ignored: it leaves' },
						refill: { description: 'ignored: it leaves' },
						'xstate.done.actor.*': [
							{ guard: 'isLast', target: '#generation.over', actions: 'forget' },
							{ guard: 'wasToldToLeave', actions: 'forget' },
							{ actions: ['forget', 'reportDegraded'] },
						],
					},
				},
			},
		},
		over: { type: 'final', tags: 'gone', description: 'Its last child is gone, and none is to follow.' },
	},
	output: ({ context: { generation, status, reason, code, wasForwarded, wasHealthy, isExhausted } }) => ({
		generation,
		status,
		reason,
		code,
		wasForwarded,
		wasHealthy,
		isExhausted,
	}),
});
