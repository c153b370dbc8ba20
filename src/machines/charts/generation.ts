/** The statechart of a generation: the children of one rotation, each in a slot, until the last child has exited. */
import { newContext } from './generationContext.ts';
import { decisions, generationSetup } from './generationSetup.ts';

/** Too many children of the generation were lost, and none was ever up. */
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
	description:
		'A generation is the children that were started together, and the children that filled their slots again.',
	context: ({ input }) => newContext(input),
	initial: 'beginning',
	states: {
		beginning: {
			tags: 'passing',
			description: 'The children are spawned at once.',
			always: { target: 'alive', actions: 'spawnChildren' },
		},
		alive: {
			description: 'At least one child lives, or a vacant slot is to be filled again.',
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
					description: 'a due slot may not have been filled yet',
				},
				fill: { guard: 'isDue', actions: 'fill' },
				continue: {
					actions: ['ungate', 'passOn'],
					description: 'no listener check is needed any more',
				},
			},
			initial: 'starting',
			states: {
				starting: {
					tags: 'coming',
					description: 'The children boot.',
					on: {
						childUnverified: { target: 'degraded', actions: ['noteReason', 'reportDegraded'] },
						childRejected: { target: 'degraded', actions: ['noteGoing', 'noteRejection', 'reportDegraded'] },
						'xstate.done.actor.*': [
							loss.exhausted,
							loss.exhaustedBesideOthers,
							{ guard: 'isRespawned', target: 'degraded', actions: ['vacate', 'reportDegraded', 'reportIfEmpty'] },
							{ guard: 'isLast', target: '#generation.over', actions: 'forget' },
							{ target: 'degraded', actions: ['forget', 'reportDegraded', 'reportIfEmpty'] },
						],
					},
					always: [
						{ guard: 'isUpToWait', target: 'awaitingPromotion', actions: 'reportUp' },
						{ guard: 'isUp', target: 'serving', actions: ['ungate', 'reportUp'] },
					],
				},
				degraded: {
					tags: 'ill',
					description:
						'A child failed before all children were up. The generation waits for an order of the supervisor.',
					on: {
						continue: { target: 'starting', actions: ['ungate', 'scheduleRespawns', 'passOn', 'askToFill'] },
					},
				},
				awaitingPromotion: {
					tags: 'coming',
					description:
						'With -bake or -check: all children are up, and the supervisor has not promoted the generation yet. A child that exits now is not started again at once.',
					on: {
						continue: { target: 'serving', actions: ['ungate', 'passOn'], description: 'the generation is promoted' },
						'xstate.done.actor.*': [
							{ guard: 'isRespawned', target: 'degraded', actions: ['vacate', 'reportDegraded', 'reportIfEmpty'] },
							{ guard: 'isLast', target: '#generation.over', actions: 'forget' },
							{ target: 'degraded', actions: ['forget', 'reportDegraded', 'reportIfEmpty'] },
						],
					},
				},
				serving: {
					tags: 'well',
					description: 'All children were up. With -respawn, a lost child is started again.',
					on: {
						'xstate.done.actor.*': [
							{
								guard: 'isRespawned',
								actions: ['vacate', 'reportDegraded', 'reportIfEmpty', 'scheduleRespawns', 'askToFill'],
							},
							{ guard: 'isLast', target: '#generation.over', actions: 'forget' },
							{ actions: ['forget', 'reportDegraded', 'reportIfEmpty'] },
						],
					},
				},
				leaving: {
					tags: 'leaving',
					description: 'The children are stopping.',
					on: {
						'respawn.due': { description: 'ignored: the generation is stopping' },
						refill: { description: 'ignored: the generation is stopping' },
						'xstate.done.actor.*': [
							{ guard: 'isLast', target: '#generation.over', actions: 'forget' },
							{ guard: 'wasToldToLeave', actions: 'forget' },
							{ actions: ['forget', 'reportDegraded'] },
						],
					},
				},
			},
		},
		over: { type: 'final', tags: 'gone', description: 'The last child has ended, and no slot is to be filled again.' },
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
