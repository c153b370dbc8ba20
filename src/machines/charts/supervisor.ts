/** The supervisor: which generation serves, which one boots, who is told to leave, when all is over. */
import { newContext, restartTimer } from './supervisorContext.ts';
import { decisions } from './supervisorDecisions.ts';
import { supervisorSetup } from './supervisorSetup.ts';

/** A rotation is under way: one more follows it. */
const queueing = {
	'signal.HUP': { actions: [{ type: 'decide', params: decisions.queued }, 'keepQueued'] },
	'rotate.requested': { actions: [{ type: 'decide', params: decisions.queued }, 'keepQueued'] },
} as const;

/** How a candidate ends beside which none serves. */
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
		description: 'nobody else serves: it is the best there is',
	},
	over: {
		guard: 'isCandidateBesideOthers',
		target: 'settling',
		actions: ['forget', { type: 'decide', params: decisions.failed }, 'fail', 'refill', 'crowdOut'],
	},
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
	description: 'It holds the sockets and replaces the generations behind them.',
	context: newContext,
	initial: 'beginning',
	states: {
		beginning: {
			tags: 'passing',
			description: 'It is about to start its first generation.',
			on: {
				'supervisor.started': {
					target: 'alive.starting',
					actions: ['keepPlan', { type: 'decide', params: decisions.started }, 'startGeneration'],
				},
			},
		},
		alive: {
			description: 'It has children.',
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
						description: 'a start is a wish to serve',
					},
					{ guard: 'isStopping', actions: 'dismissAll' },
					{
						guard: 'isCandidateUnborn',
						target: '.settling',
						actions: ['dismissUnborn', 'beginAgain', 'dismissOthers', 'resume'],
						description: 'it was killed before each of its children had a process',
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
						description: 'it was killed before another one was scheduled for the one that served',
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
					{ description: 'ignored: another one serves' },
				],
				slotDue: [
					{ guard: 'isFillable', actions: 'fill' },
					{ description: 'held back: a new generation boots, and the old one still serves' },
				],
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
					description: 'The first generation comes up; nobody serves yet.',
					on: {
						...queueing,
						generationUp: candidateAlone.up,
						generationDegraded: candidateAlone.degraded,
						'xstate.done.actor.*': candidateAlone.over,
					},
				},
				settling: {
					tags: 'passing',
					description: 'Passed through at once: a rotation has ended, what comes next?',
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
							description: 'no generation serves, and older ones are leaving',
						},
						{ guard: 'isNobodyLeaving', target: 'running' },
						{ target: 'draining', description: 'others are leaving' },
					],
				},
				running: {
					tags: 'well',
					description: 'One generation serves, and it is alone.',
					on: rotation,
				},
				rotating: {
					tags: 'coming',
					description: 'A new generation comes up beside the one that serves.',
					on: {
						...queueing,
						generationUp: [
							{
								guard: 'isCandidateBesideServing',
								target: 'settling',
								actions: [{ type: 'decide', params: decisions.replacing }, 'dismissServing', 'promote', 'crowdOut'],
							},
							candidateAlone.up,
						],
						generationDegraded: [
							{
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
							},
							{
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
								description: 'nobody lives of the one that serves: it is the best there is',
							},
							candidateAlone.degraded,
						],
						'xstate.done.actor.*': [
							candidateAlone.over,
							{
								guard: 'isServingBesideOthers',
								actions: ['forget', 'ungateCandidate'],
								description: 'the one that served is gone: the new one serves as soon as it is ready',
							},
						],
					},
				},
				unserved: {
					tags: 'ill',
					description:
						'No generation serves, and older ones finish what they have begun: a new one is started when the wait is over, later each time.',
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
							description: 'none is started again that got it',
						},
					},
				},
				draining: {
					tags: 'leaving',
					description: 'One generation serves, and older ones finish what they have begun.',
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
								description: 'a SIGQUIT had been passed on to it: none is started again',
							},
						],
					},
					always: { guard: 'isNobodyLeaving', target: 'running' },
				},
				stopping: {
					tags: 'leaving',
					description: 'Every child was told to leave, and all is over when the last one has.',
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
		stopped: { type: 'final', tags: 'gone', description: 'The last child is gone, and so is the supervisor.' },
	},
	output: ({ context }) => ({ status: context.stopSignal === null ? context.status : 0 }),
});
