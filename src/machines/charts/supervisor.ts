/** The supervisor's statechart: which generation serves, which one boots, which drain, and when the supervisor exits. */
import { bakeTimer, newContext, restartTimer } from './supervisorContext.ts';
import { decisions } from './supervisorDecisions.ts';
import { supervisorSetup } from './supervisorSetup.ts';

/** A request during a rotation queues one more rotation. */
const queueing = {
	'signal.HUP': { actions: [{ type: 'decide', params: decisions.queued }, 'keepQueued'] },
	'rotate.requested': { actions: [{ type: 'decide', params: decisions.queued }, 'keepQueued'] },
} as const;

/**
 * What follows when a candidate is up, degraded or over. `up` and `degraded` apply if no generation serves beside it.
 */
const candidateAlone = {
	up: {
		guard: 'isCandidate',
		target: 'settling',
		actions: [{ type: 'decide', params: decisions.promoted }, 'promote'],
	},
	degraded: {
		guard: 'isCandidate',
		target: 'settling',
		actions: ['noteStatus', { type: 'decide', params: decisions.kept }, 'keepDegraded', 'continue'],
		description: 'no other generation serves',
	},
	over: {
		guard: 'isCandidateBesideOthers',
		target: 'settling',
		actions: ['forget', { type: 'decide', params: decisions.failed }, 'fail', 'refill', 'crowdOut'],
	},
} as const;

/** A candidate that is degraded beside the serving generation. */
const candidateFailed = {
	guard: 'isCandidateFailed',
	target: 'settling',
	actions: [
		'noteStatus',
		{ type: 'decide', params: decisions.failed },
		'dismissCandidate',
		'fail',
		'refill',
		'crowdOut',
	],
} as const;

const candidateKept = {
	guard: 'isCandidateBesideServing',
	target: 'settling',
	actions: [
		'noteStatus',
		{ type: 'decide', params: decisions.keptInstead },
		'dismissServing',
		'keepDegraded',
		'continue',
		'crowdOut',
	],
	description: 'no child of the serving generation lives',
} as const;

const rotation = {
	'signal.HUP': { target: 'rotating', actions: [{ type: 'decide', params: decisions.started }, 'startGeneration'] },
	'rotate.requested': {
		target: 'rotating',
		actions: [{ type: 'decide', params: decisions.started }, 'startGeneration'],
	},
} as const;

const refusal = { actions: { type: 'decide', params: decisions.refused } } as const;

export const supervisorMachine = supervisorSetup.createMachine({
	id: 'supervisor',
	description: 'The supervisor holds the listeners and replaces the generations behind them.',
	context: newContext,
	initial: 'beginning',
	states: {
		beginning: {
			tags: 'passing',
			description: 'The supervisor is about to start its first generation.',
			on: {
				'supervisor.started': {
					target: 'alive.starting',
					actions: ['keepPlan', { type: 'decide', params: decisions.started }, 'startGeneration'],
				},
			},
		},
		alive: {
			description: 'At least one generation exists.',
			invoke: { id: 'upgrade', systemId: 'upgrade', src: 'upgrade' },
			on: {
				'supervisor.recovered': [
					{
						guard: 'hadBegunToStop',
						target: '.starting',
						actions: [
							'dismissAll',
							{ type: 'decide', params: decisions.stopUndone },
							'undoStop',
							{ type: 'decide', params: decisions.started },
							'startGeneration',
						],
						description: 'a new start cancels the earlier stop',
					},
					{ guard: 'isStopping', actions: 'dismissAll' },
					{
						guard: 'isCandidateUnborn',
						target: '.settling',
						actions: ['dismissUnborn', 'beginAgain', 'dismissOthers', 'resume'],
						description: 'killed before each child of the candidate was spawned',
					},
					{
						guard: 'wasServiceLost',
						target: '.unserved',
						actions: [
							'dismissOthers',
							{ type: 'decide', params: decisions.serviceLost },
							{ type: 'decide', params: decisions.restart },
							'keepRestart',
						],
						description: 'killed before a new generation was scheduled',
					},
					{ actions: ['dismissOthers', 'resume'] },
				],
				'signal.TERM': {
					target: '.stopping',
					actions: [{ type: 'decide', params: decisions.stop }, 'keepStop', 'stopAll'],
				},
				'signal.INT': {
					target: '.stopping',
					actions: [{ type: 'decide', params: decisions.stop }, 'keepStop', 'stopAll'],
				},
				'stop.requested': {
					target: '.stopping',
					actions: [{ type: 'decide', params: decisions.stop }, 'keepStop', 'stopAll'],
				},
				'signal.QUIT': { actions: [{ type: 'decide', params: decisions.forwarded }, 'keepQuit', 'forwardToAll'] },
				'signal.USR1': { actions: 'passOnToUpgrade' },
				'signal.USR2': { actions: 'passOnToUpgrade' },
				'upgrade.requested': { actions: 'passOnToUpgrade' },
				generationUp: {
					guard: 'isServing',
					actions: [{ type: 'decide', params: decisions.madeWhole }, 'makeComplete'],
				},
				generationDegraded: { actions: ['noteStatus', 'continue'] },
				generationEmpty: [
					{ guard: 'isServing', actions: 'noteEmptied' },
					{ description: 'ignored: this generation does not serve' },
				],
				slotDue: [{ guard: 'isFillable', actions: 'fill' }, { description: 'held back while a candidate boots' }],
				'xstate.done.actor.*': [
					{
						guard: 'isOverUnserved',
						target: 'stopped',
						actions: ['forget', { type: 'decide', params: decisions.neverServed }],
					},
					{ guard: 'isOver', target: 'stopped', actions: 'forget' },
					{ actions: 'forget' },
				],
			},
			initial: 'starting',
			states: {
				starting: {
					tags: 'coming',
					description: 'The first generation boots. No generation serves yet.',
					on: {
						...queueing,
						generationUp: candidateAlone.up,
						generationDegraded: candidateAlone.degraded,
						'xstate.done.actor.*': candidateAlone.over,
					},
				},
				settling: {
					tags: 'passing',
					description: 'A rotation has ended. The next state follows at once.',
					always: [
						{
							guard: 'isQueued',
							target: 'rotating',
							actions: [{ type: 'decide', params: decisions.started }, 'startGeneration'],
						},
						{
							guard: 'isUnserved',
							target: 'unserved',
							actions: [{ type: 'decide', params: decisions.restart }, 'keepRestart'],
							description: 'no generation serves, older generations drain',
						},
						{ guard: 'isNobodyLeaving', target: 'running' },
						{ target: 'draining', description: 'older generations drain' },
					],
				},
				running: {
					tags: 'well',
					description: 'One generation serves. No other generation exists.',
					on: rotation,
				},
				rotating: {
					tags: 'coming',
					description: 'A candidate boots. The serving generation, if there is one, keeps serving.',
					on: {
						...queueing,
						generationUp: [
							{
								guard: 'isCandidateToBake',
								target: 'baking',
								actions: [{ type: 'decide', params: decisions.baking }, 'keepBake', 'refill'],
							},
							{
								guard: 'isCandidateBesideServing',
								target: 'settling',
								actions: [{ type: 'decide', params: decisions.replacing }, 'dismissServing', 'promote', 'crowdOut'],
							},
							candidateAlone.up,
						],
						generationDegraded: [candidateFailed, candidateKept, candidateAlone.degraded],
						'xstate.done.actor.*': [
							candidateAlone.over,
							{
								guard: 'isServingBesideOthers',
								actions: ['forget', 'ungateCandidate'],
								description: 'no generation serves: no listener check is needed',
							},
						],
					},
				},
				baking: {
					tags: 'coming',
					description:
						'With -bake: the candidate is up, and serves beside the serving generation until its bake ends. If a child of it exits, it fails.',
					invoke: { id: 'bake', src: 'timer', input: ({ context }) => bakeTimer(context) },
					on: {
						...queueing,
						'bake.due': {
							target: 'settling',
							actions: [
								{ type: 'decide', params: decisions.replacing },
								'dismissServing',
								'endBake',
								'promote',
								'crowdOut',
							],
						},
						generationDegraded: [candidateFailed, candidateKept],
						'xstate.done.actor.*': [
							candidateAlone.over,
							{
								guard: 'isServingBesideOthers',
								target: 'settling',
								actions: ['forget', { type: 'decide', params: decisions.promoted }, 'endBake', 'promote'],
								description: 'no other generation serves: the candidate is promoted',
							},
						],
					},
				},
				unserved: {
					tags: 'ill',
					description:
						'No generation serves, and older generations drain. A new generation starts after a wait, which doubles each time.',
					invoke: {
						id: 'restart',
						src: 'timer',
						input: ({ context }) => restartTimer(context),
					},
					on: {
						...rotation,
						'restart.due': {
							target: 'rotating',
							actions: [{ type: 'decide', params: decisions.started }, 'startGeneration'],
						},
						'signal.QUIT': {
							target: 'draining',
							actions: [{ type: 'decide', params: decisions.forwarded }, 'keepQuit', 'forwardToAll'],
							description: 'a SIGQUIT cancels the restart',
						},
					},
				},
				draining: {
					tags: 'leaving',
					description:
						'One generation serves, and older generations drain. After a SIGQUIT, there may be no serving generation.',
					on: {
						...rotation,
						'xstate.done.actor.*': [
							{
								guard: 'isServingToRestart',
								target: 'unserved',
								actions: [
									'forget',
									{ type: 'decide', params: decisions.serviceLost },
									{ type: 'decide', params: decisions.restart },
									'keepRestart',
								],
							},
							{
								guard: 'isServingBesideOthers',
								actions: ['forget', { type: 'decide', params: decisions.serviceLost }],
								description: 'a SIGQUIT was passed on: no restart',
							},
						],
					},
					always: { guard: 'isNobodyLeaving', target: 'running' },
				},
				stopping: {
					tags: 'leaving',
					description: 'Every child is being stopped. The supervisor exits after its last child.',
					on: {
						'signal.HUP': refusal,
						'rotate.requested': refusal,
						'signal.USR1': refusal,
						'signal.USR2': refusal,
						'upgrade.requested': refusal,
					},
				},
			},
		},
		stopped: { type: 'final', tags: 'gone', description: 'The last child has exited, and the supervisor exits.' },
	},
	output: ({ context }) => ({ status: context.stopSignal === null ? context.status : 0 }),
});
