/** The supervisor's statechart: which generation serves, which one boots, which drain, and when the supervisor exits. */
import { bakeCheck, bakeTimer, candidateCheck, newContext, restartTimer } from './supervisorContext.ts';
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

const failure = [
	{ type: 'decide', params: decisions.failed },
	'dismissCandidate',
	'fail',
	'refill',
	'crowdOut',
] as const;

/** A candidate that is degraded beside the serving generation. */
const candidateFailed = {
	guard: 'isCandidateFailed',
	target: 'settling',
	actions: ['noteStatus', ...failure],
} as const;

/** A client stops the candidate: the rotation fails. */
const candidateStopped = [
	{
		guard: 'isCandidateToKill',
		target: 'settling',
		actions: [
			{ type: 'decide', params: decisions.failed },
			'dismissCandidate',
			{ type: 'decide', params: decisions.stopGeneration },
			'stopGeneration',
			'fail',
			'refill',
			'crowdOut',
		],
		description: 'the request names a kill timeout',
	},
	{ guard: 'isCandidateToStop', target: 'settling', actions: failure },
] as const;

const candidateKept = {
	guard: 'isCandidateBesideServing',
	target: 'settling',
	actions: [
		'noteStatus',
		{ type: 'decide', params: decisions.keptInstead },
		'dismissServing',
		'stopRecheck',
		'keepDegraded',
		'continue',
		'crowdOut',
	],
	description: 'no child of the serving generation lives',
} as const;

/** The health check of the serving generation, which was kept as degraded. */
const rechecked = [{ type: 'decide', params: decisions.rechecking }, 'recheck'] as const;

/** The candidate is up beside the serving generation, and has not passed its health check. */
const checkFailed = [
	{ guard: 'isCandidateFailed', target: 'settling', actions: failure },
	{
		guard: 'isCandidateBesideServing',
		target: 'settling',
		actions: [
			{ type: 'decide', params: decisions.keptInstead },
			'dismissServing',
			...rechecked,
			'keepDegraded',
			'crowdOut',
		],
		description: 'no child of the serving generation lives',
	},
] as const;

/** The candidate is up, and is checked before it bakes or is promoted. */
const check = {
	guard: 'isCandidateToCheck',
	target: 'checking',
	actions: [{ type: 'decide', params: decisions.checking }, 'keepCheck', 'refill'],
} as const;

/** The candidate is up, and bakes beside the serving generation. */
const bake = {
	guard: 'isCandidateToBake',
	target: 'baking',
	actions: [{ type: 'decide', params: decisions.baking }, 'keepBake', 'refill'],
} as const;

/** The candidate, which has waited for its promotion, replaces the serving generation. */
const replacement = [
	{ type: 'decide', params: decisions.replacing },
	'dismissServing',
	'stopRecheck',
	'endWait',
	'promote',
	'crowdOut',
] as const;

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
					actions: [{ type: 'decide', params: decisions.stop }, 'keepStop', 'stopRecheck', 'stopAll'],
				},
				'signal.INT': {
					target: '.stopping',
					actions: [{ type: 'decide', params: decisions.stop }, 'keepStop', 'stopRecheck', 'stopAll'],
				},
				'stop.requested': {
					target: '.stopping',
					actions: [{ type: 'decide', params: decisions.stop }, 'keepStop', 'stopRecheck', 'stopAll'],
				},
				'signal.QUIT': { actions: [{ type: 'decide', params: decisions.forwarded }, 'keepQuit', 'forwardToAll'] },
				'generation.stopRequested': [
					{
						guard: 'isDraining',
						actions: [{ type: 'decide', params: decisions.stopGeneration }, 'stopGeneration'],
					},
					{ actions: { type: 'decide', params: decisions.notDraining } },
				],
				'signal.USR1': { actions: 'passOnToUpgrade' },
				'signal.USR2': { actions: 'passOnToUpgrade' },
				'upgrade.requested': { actions: 'passOnToUpgrade' },
				generationUp: [
					{ guard: 'isServingToCheck', actions: rechecked, description: 'complete after its health check' },
					{
						guard: 'isServingDegraded',
						actions: [{ type: 'decide', params: decisions.madeWhole }, 'makeComplete'],
					},
				],
				'check.passed': [
					{
						guard: 'isServingRechecked',
						actions: [{ type: 'decide', params: decisions.madeWhole }, 'stopRecheck', 'makeComplete', 'continue'],
					},
					{ description: 'ignored: the generation is not checked any more' },
				],
				'check.failed': { description: 'ignored: the generation is not checked any more' },
				'check.tried': { description: 'ignored: it is only reported' },
				generationDegraded: [
					{
						guard: 'isServing',
						actions: ['noteStatus', 'stopRecheck', 'dropRecheck', 'continue'],
						description: 'it is checked again when it is complete',
					},
					{ actions: ['noteStatus', 'continue'] },
				],
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
						generationUp: [check, candidateAlone.up],
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
						'generation.stopRequested': candidateStopped,
						generationUp: [
							check,
							bake,
							{
								guard: 'isCandidateBesideServing',
								target: 'settling',
								actions: [
									{ type: 'decide', params: decisions.replacing },
									'dismissServing',
									'stopRecheck',
									'promote',
									'crowdOut',
								],
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
				checking: {
					tags: 'coming',
					description:
						'With -check: the candidate is up, and must pass its health check before it bakes or is promoted, and again after its bake. If a child of it exits, it fails.',
					invoke: { id: 'check', src: 'healthCheck', input: ({ context }) => candidateCheck(context) },
					on: {
						...queueing,
						'generation.stopRequested': candidateStopped,
						'check.passed': [
							bake,
							{ guard: 'isCandidateBesideServing', target: 'settling', actions: replacement },
							{
								guard: 'isCandidate',
								target: 'settling',
								actions: [{ type: 'decide', params: decisions.promoted }, 'stopRecheck', 'endWait', 'promote'],
							},
						],
						'check.failed': [
							...checkFailed,
							{
								guard: 'isCandidate',
								target: 'settling',
								actions: [{ type: 'decide', params: decisions.kept }, ...rechecked, 'keepDegraded'],
								description: 'no other generation serves',
							},
						],
						generationDegraded: [candidateFailed, candidateKept, candidateAlone.degraded],
						'xstate.done.actor.*': [
							candidateAlone.over,
							{
								guard: 'isServingBesideOthers',
								actions: 'forget',
								description: 'no other generation serves: the health check decides whether it is complete',
							},
						],
					},
				},
				baking: {
					tags: 'coming',
					description:
						'With -bake: the candidate is up, and serves beside the serving generation until its bake ends. If a child of it exits, or its health check fails, it fails.',
					invoke: [
						{ id: 'bake', src: 'timer', input: ({ context }) => bakeTimer(context) },
						{ id: 'bakeCheck', src: 'healthCheck', input: ({ context }) => bakeCheck(context) },
					],
					on: {
						...queueing,
						'generation.stopRequested': candidateStopped,
						'bake.due': [
							{
								guard: 'isChecked',
								target: 'checking',
								actions: [{ type: 'decide', params: decisions.checking }, 'keepCheck'],
							},
							{ target: 'settling', actions: replacement },
						],
						'check.failed': checkFailed,
						generationDegraded: [candidateFailed, candidateKept],
						'xstate.done.actor.*': [
							candidateAlone.over,
							{
								guard: 'isServingBesideOthers',
								target: 'settling',
								actions: ['forget', { type: 'decide', params: decisions.promoted }, 'endWait', 'promote'],
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
						'generation.stopRequested': refusal,
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
