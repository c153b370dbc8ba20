/** One child process, from the decision to spawn it to its last breath. */
import { bootTimer, killTimer, newContext, promotionCheck, readinessCheck } from './childContext.ts';
import { decisions } from './childDecisions.ts';
import { childSetup } from './childSetup.ts';

/** It is ready, and another generation serves: it must be seen to accept. */
const verification = {
	target: '#child.alive.staying.verifying',
	actions: ['keepReady', { type: 'decide', params: decisions.verifying }],
} as const;

/** It is ready, and counts as up. */
const up = [
	{ type: 'decide', params: decisions.verifying },
	'keepUp',
	{ type: 'decide', params: decisions.ready },
	'reportUp',
] as const;

/** It is ready, and no other generation serves: it counts as up at once. */
const atOnce = { target: '#child.alive.staying.serving', actions: ['keepReady', ...up, 'lookOn'] } as const;

/** It had to be ready by now. */
const rejection = {
	target: '#child.alive.leaving.draining',
	actions: [{ type: 'decide', params: decisions.rejected }, 'reject', 'reportRejected'],
} as const;

/** Told again, by a stop that may have a patience of its own. */
const stopAgain = <T extends 'draining' | 'orphaned'>(target: T) =>
	[
		{
			guard: 'changesKillTimeout',
			target,
			reenter: true,
			actions: ['keepKillTimeout', 'sendSignal'],
			description: 'sent again; its wait begins again',
		},
		{ actions: 'sendSignal', description: 'sent again; patience ends when it did' },
	] as const;

/** One that is not up when its generation fails has served no client: it is not waited for without end. */
const leaveUnseen = [
	{
		guard: 'isDismissed',
		target: '#child.alive.leaving.draining',
		actions: ['noteDismissed', 'sendSignal'],
		description: 'its generation failed: it is killed if it does not leave in 10 s',
	},
	{ target: '#child.alive.leaving.draining', actions: 'sendSignal' },
] as const;

/** Its supervisor goes on without waiting for those that it has left behind. */
const unawaited = {
	guard: 'isUnawaited',
	target: '#child.exited',
	actions: { type: 'decide', params: decisions.abandoned },
} as const;

export const childMachine = childSetup.createMachine({
	id: 'child',
	description: 'One process of the server.',
	context: ({ input }) => newContext(input),
	initial: 'beginning',
	states: {
		beginning: {
			tags: 'passing',
			description: 'It is about to be spawned.',
			on: { spawn: { target: 'alive', actions: { type: 'decide', params: decisions.spawning } } },
		},
		alive: {
			description: 'It has a process, or is about to have one.',
			invoke: {
				id: 'process',
				src: 'process',
				input: ({ context: { child, generation, index } }) => ({ child, generation, index }),
			},
			on: {
				forward: { actions: 'passOn' },
				'child.announced': { description: 'ignored: it is known already' },
				'child.delayed': { description: 'ignored: nobody waits for it' },
				continue: { actions: 'ungate', description: 'no other generation serves: it need not be seen any more' },
				'child.verified': { description: 'ignored: it serves, or leaves' },
				'child.unseen': { description: 'ignored: the log says it' },
				resume: { description: 'ignored: nothing was about to follow' },
			},
			initial: 'staying',
			states: {
				staying: {
					description: 'It is wanted.',
					on: {
						leave: { target: 'leaving.draining', actions: 'sendSignal' },
						stop: [
							{
								guard: 'isDismissed',
								target: 'leaving.draining',
								actions: ['keepKillTimeout', 'noteDismissed', 'sendSignal'],
								description:
									'a stop came before it was up, beside a generation that serves: it is killed after 10 s at most',
							},
							{ target: 'leaving.draining', actions: ['keepKillTimeout', 'sendSignal'] },
						],
						resume: {
							guard: 'isRejected',
							target: 'leaving.draining',
							actions: 'sendDrainSignal',
							description: 'it was rejected, and has not been signalled yet',
						},
						'child.exited': [
							{
								guard: 'leavesOthers',
								target: '#child.exited',
								actions: [
									{ type: 'decide', params: decisions.lost },
									'keepStatus',
									'keepEnd',
									{ type: 'decide', params: decisions.abandoned },
								],
							},
							{
								target: '#child.exited',
								actions: [{ type: 'decide', params: decisions.lost }, 'keepStatus', 'keepEnd'],
							},
						],
						'child.spawnFailed': {
							target: '#child.exited',
							actions: [{ type: 'decide', params: decisions.lost }, 'keepStatus', 'keepEnd'],
						},
					},
					initial: 'spawning',
					states: {
						spawning: {
							tags: 'coming',
							description: 'It is being spawned and has no pid yet.',
							on: {
								'child.spawned': { target: 'booting', actions: ['keepProcess', 'passOnRemembered'] },
								leave: [
									{
										guard: 'isDismissed',
										target: '#child.alive.leaving.cancelled',
										actions: ['noteDismissed', 'rememberSignal'],
									},
									{ target: '#child.alive.leaving.cancelled', actions: 'rememberSignal' },
								],
								stop: [
									{
										guard: 'isDismissed',
										target: '#child.alive.leaving.cancelled',
										actions: ['keepKillTimeout', 'noteDismissed', 'rememberSignal'],
									},
									{ target: '#child.alive.leaving.cancelled', actions: ['keepKillTimeout', 'rememberSignal'] },
								],
								forward: { actions: 'rememberForward' },
							},
						},
						booting: {
							tags: 'coming',
							description:
								'It runs, and has neither said that it is up nor stayed alive for as long as -start asks; with -ready=notify it has to say so in that time, with -ready=accept to be seen to accept.',
							invoke: [
								{
									id: 'boot',
									src: 'timer',
									input: ({ context }) => bootTimer(context),
								},
								{ id: 'look', src: 'listenerCheck', input: ({ context }) => readinessCheck(context) },
							],
							on: {
								leave: leaveUnseen,
								'child.announced': [{ guard: 'isGated', ...verification }, atOnce],
								resume: [
									{
										guard: 'hasAnnouncedAndIsGated',
										target: 'verifying',
										actions: { type: 'decide', params: decisions.verifying },
										description: 'it had said that it is up',
									},
									{ guard: 'hasAnnounced', target: 'serving', actions: [...up, 'lookOn'] },
								],
								'timer.elapsed': [
									{ guard: 'isBootTimerBeforeGate', ...verification },
									{ guard: 'isBootTimerThatIsEnough', ...atOnce },
									{ guard: 'isBootTimer', ...rejection },
								],
								'child.verified': [
									{
										guard: 'isUnseeable',
										target: 'booting',
										reenter: true,
										actions: 'keepHidden',
										description: 'whether it accepts can’t be seen: -start makes it ready, as with -ready=wait',
									},
									{
										guard: 'isLookedFor',
										target: 'serving',
										actions: ['keepReady', ...up],
										description: 'it was seen to accept: it is ready, and verified',
									},
								],
								'child.unverified': { guard: 'isLookedFor', ...rejection },
								'child.stopped': [
									{
										guard: 'isWaitedFor',
										target: 'booting',
										reenter: true,
										actions: 'keepStopped',
										description: 'waited for once more',
									},
									rejection,
								],
								'child.delayed': {
									guard: 'movesDeadline',
									target: 'booting',
									reenter: true,
									actions: [{ type: 'decide', params: decisions.moved }, 'keepDeadline'],
								},
							},
						},
						verifying: {
							tags: 'coming',
							description:
								'It is ready, and another generation serves: does it, or a process descended from it, accept on every listener?',
							invoke: { id: 'listenerCheck', src: 'listenerCheck', input: ({ context }) => promotionCheck(context) },
							on: {
								'child.verified': {
									target: 'serving',
									actions: ['keepUp', { type: 'decide', params: decisions.ready }, 'reportUp'],
								},
								'child.unverified': { target: 'unverified', actions: ['keepUnverified', 'reportUnverified'] },
								leave: leaveUnseen,
								continue: {
									target: 'serving',
									actions: ['ungate', 'keepUp', { type: 'decide', params: decisions.ready }, 'reportUp', 'lookOn'],
									description: 'no other generation serves any more: it serves at once',
								},
								resume: {
									guard: 'isUngated',
									target: 'serving',
									actions: ['keepUp', { type: 'decide', params: decisions.ready }, 'reportUp', 'lookOn'],
									description: 'no other generation serves',
								},
							},
						},
						unverified: {
							tags: 'ill',
							description: 'It was not seen to accept in time: its generation says what becomes of it.',
							on: {
								leave: { target: '#child.alive.leaving.draining', actions: ['noteDismissed', 'sendSignal'] },
								continue: {
									target: 'serving',
									actions: ['ungate', 'keepUp', { type: 'decide', params: decisions.ready }, 'reportUp', 'lookOn'],
								},
							},
						},
						serving: { tags: 'well', description: 'It is up.' },
					},
				},
				leaving: {
					description: 'It was told to leave.',
					on: {
						crowdOut: { target: '.killing', actions: 'killCrowded', description: 'too many generations drain' },
						leave: { description: 'ignored: told once is told' },
						stop: { actions: 'sendSignal', description: 'sent again' },
						'group.gone': '#child.exited',
						'child.exited': [
							{
								guard: 'leavesOthersInTime',
								target: '.orphaned',
								actions: ['keepEnd', 'askOthers'],
								description: 'they are told what it was told, once',
							},
							{
								guard: 'leavesOthers',
								target: '#child.exited',
								actions: ['keepEnd', { type: 'decide', params: decisions.abandoned }],
							},
							{ target: '#child.exited', actions: 'keepEnd' },
						],
						'child.spawnFailed': { target: '#child.exited', actions: 'keepEnd' },
					},
					initial: 'draining',
					states: {
						cancelled: {
							tags: 'leaving',
							description: 'It is to leave as soon as it has a pid.',
							on: {
								'child.spawned': {
									target: 'draining',
									actions: ['keepProcess', 'sendRememberedSignal', 'passOnRemembered'],
								},
								crowdOut: { description: 'ignored: it has no process yet' },
								stop: {
									actions: ['keepKillTimeout', 'rememberSignal'],
									description: 'a stop overrides what was never sent',
								},
								forward: { actions: 'rememberForward' },
							},
						},
						draining: {
							tags: 'leaving',
							description: 'It finishes what it has begun, for as long as -kill allows.',
							invoke: {
								id: 'kill',
								src: 'timer',
								input: ({ context }) => killTimer(context),
							},
							on: {
								stop: stopAgain('draining'),
								'timer.elapsed': {
									guard: 'isKillTimer',
									target: 'killing',
									actions: 'kill',
								},
							},
						},
						orphaned: {
							tags: 'leaving',
							description:
								'It has left, others of its processes have not: those that hold a listener are waited for, and with -kill all of them, as long as that allows.',
							invoke: {
								id: 'kill',
								src: 'timer',
								input: ({ context }) => killTimer(context),
							},
							on: {
								stop: stopAgain('orphaned'),
								leave: unawaited,
								resume: unawaited,
								'timer.elapsed': { guard: 'isKillTimer', target: 'killing', actions: 'kill' },
							},
						},
						killing: {
							tags: 'ill',
							description: 'It did not leave in time and was killed.',
							on: {
								'child.exited': {
									guard: 'leavesOthersInTime',
									actions: ['keepEnd', 'kill'],
									description: 'what it has left behind is killed too',
								},
							},
						},
					},
				},
			},
		},
		exited: { type: 'final', tags: 'gone', description: 'It is gone.' },
	},
	output: ({ context: { child, status, reason, code, wasForwarded, upAt, end } }) => ({
		child,
		status,
		reason,
		code,
		wasForwarded,
		upAt,
		endedAt: end.at,
		seq: end.seq,
	}),
});
