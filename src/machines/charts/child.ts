/** The statechart of one child, from the decision to spawn it to the exit of its last awaited process. */
import { bootTimer, killTimer, newContext, promotionCheck, readinessCheck } from './childContext.ts';
import { decisions } from './childDecisions.ts';
import { childSetup } from './childSetup.ts';

/** The child is ready while another generation serves: it must pass the listener check before it is up. */
const verification = {
	target: '#child.alive.staying.verifying',
	actions: ['keepReady', { type: 'decide', params: decisions.verifying }],
} as const;

/** The child is ready, and up at the same time. */
const up = [
	{ type: 'decide', params: decisions.verifying },
	'keepUp',
	{ type: 'decide', params: decisions.ready },
	'reportUp',
] as const;

/** The child is ready and no other generation serves: it is up without a listener check. */
const atOnce = { target: '#child.alive.staying.serving', actions: ['keepReady', ...up, 'lookOn'] } as const;

/** The child was not ready before its deadline. */
const rejection = {
	target: '#child.alive.leaving.draining',
	actions: [{ type: 'decide', params: decisions.rejected }, 'reject', 'reportRejected'],
} as const;

/** A repeated stop sends its signal again. If it has another kill timeout, that timeout begins now. */
const stopAgain = <T extends 'draining' | 'orphaned'>(target: T) =>
	[
		{
			guard: 'changesKillTimeout',
			target,
			reenter: true,
			actions: ['keepKillTimeout', 'sendSignal'],
			description: 'the kill timeout begins again',
		},
		{ actions: 'sendSignal', description: 'the kill timeout does not change' },
	] as const;

/** A child of a generation that fails has at most 10 s: the generation was never promoted. */
const dismissal = [
	{
		guard: 'isDismissed',
		target: '#child.alive.leaving.draining',
		actions: ['noteDismissed', 'sendSignal'],
		description: 'the kill timeout is at most 10 s',
	},
	{ target: '#child.alive.leaving.draining', actions: 'sendSignal' },
] as const;

/** After a restart without -kill, the supervisor does not wait for surviving processes that hold no listener. */
const unawaited = {
	guard: 'isUnawaited',
	target: '#child.exited',
	actions: { type: 'decide', params: decisions.abandoned },
} as const;

export const childMachine = childSetup.createMachine({
	id: 'child',
	description: 'A child is one process of the server.',
	context: ({ input }) => newContext(input),
	initial: 'beginning',
	states: {
		beginning: {
			tags: 'passing',
			description: 'The child is about to be spawned.',
			on: { spawn: { target: 'alive', actions: { type: 'decide', params: decisions.spawning } } },
		},
		alive: {
			description: 'The child is being spawned, runs, or has surviving processes.',
			invoke: {
				id: 'process',
				src: 'process',
				input: ({ context: { child, generation, index } }) => ({ child, generation, index }),
			},
			on: {
				forward: { actions: 'passOn' },
				'child.announced': { description: 'ignored: the child does not wait for readiness' },
				'child.delayed': { description: 'ignored: the deadline does not move' },
				continue: { actions: 'ungate', description: 'no listener check is needed any more' },
				'child.verified': { description: 'ignored: the child is up, or stopping' },
				'child.unseen': { description: 'ignored: it is only logged' },
				'child.watched': { description: 'ignored: it is only recorded' },
				'child.hung': { description: 'ignored: the child does not serve' },
				resume: { description: 'ignored: no step is pending' },
			},
			initial: 'staying',
			states: {
				staying: {
					description: 'The child boots or serves.',
					on: {
						leave: dismissal,
						stop: [
							{
								guard: 'isDismissed',
								target: 'leaving.draining',
								actions: ['keepKillTimeout', 'noteDismissed', 'sendSignal'],
								description: 'the kill timeout is at most 10 s',
							},
							{ target: 'leaving.draining', actions: ['keepKillTimeout', 'sendSignal'] },
						],
						resume: {
							guard: 'isRejected',
							target: 'leaving.draining',
							actions: 'sendDrainSignal',
							description: 'the drain signal was not sent yet',
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
							description: 'The child is being spawned and has no pid yet.',
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
								'The child runs and is not ready yet. Its message makes it ready; so does the -start wait with -ready=wait, and the listener check with -ready=accept.',
							invoke: [
								{
									id: 'boot',
									src: 'timer',
									input: ({ context }) => bootTimer(context),
								},
								{ id: 'look', src: 'listenerCheck', input: ({ context }) => readinessCheck(context) },
							],
							on: {
								'child.announced': [{ guard: 'isGated', ...verification }, atOnce],
								resume: [
									{
										guard: 'hasAnnouncedAndIsGated',
										target: 'verifying',
										actions: { type: 'decide', params: decisions.verifying },
										description: 'the readiness message came before the restart',
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
										description: 'the -start wait makes the child ready',
									},
									{
										guard: 'isLookedFor',
										target: 'serving',
										actions: ['keepReady', ...up],
										description: 'the child is ready and verified',
									},
								],
								'child.unverified': { guard: 'isLookedFor', ...rejection },
								'child.stopped': [
									{
										guard: 'isWaitedFor',
										target: 'booting',
										reenter: true,
										actions: 'keepStopped',
										description: 'up to ten times -start, or 10 s if that is longer',
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
								'The child is ready while another generation serves. The listener check must see the child, or a descendant, accept on (or hold) every listener.',
							invoke: { id: 'listenerCheck', src: 'listenerCheck', input: ({ context }) => promotionCheck(context) },
							on: {
								'child.verified': {
									target: 'serving',
									actions: ['keepUp', { type: 'decide', params: decisions.ready }, 'reportUp'],
								},
								'child.unverified': { target: 'unverified', actions: ['keepUnverified', 'reportUnverified'] },
								continue: {
									target: 'serving',
									actions: ['ungate', 'keepUp', { type: 'decide', params: decisions.ready }, 'reportUp', 'lookOn'],
									description: 'no other generation serves: the child is up',
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
							description: 'The listener check failed. The child waits for an order of its generation.',
							on: {
								leave: { target: '#child.alive.leaving.draining', actions: ['noteDismissed', 'sendSignal'] },
								continue: {
									target: 'serving',
									actions: ['ungate', 'keepUp', { type: 'decide', params: decisions.ready }, 'reportUp', 'lookOn'],
								},
							},
						},
						serving: {
							tags: 'well',
							description: 'The child is up.',
							on: {
								'child.hung': [
									{ guard: 'isAborted', actions: 'killHung', description: 'it has not exited after SIGABRT' },
									{ actions: 'abort', description: 'its watchdog has expired' },
								],
							},
						},
					},
				},
				leaving: {
					description: 'The child is stopping.',
					on: {
						crowdOut: { target: '.killing', actions: 'killCrowded', description: 'too many generations drain' },
						leave: { description: 'ignored: the child is stopping already' },
						stop: { actions: ['keepKillTimeout', 'sendSignal'], description: 'the signal is sent again' },
						'group.gone': '#child.exited',
						'child.exited': [
							{
								guard: 'leavesOthersInTime',
								target: '.orphaned',
								actions: ['keepEnd', 'askOthers'],
								description: 'the signal is sent once',
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
							description: 'The child has no pid yet. As soon as it has one, it receives its stop signal.',
							on: {
								'child.spawned': {
									target: 'draining',
									actions: ['keepProcess', 'sendRememberedSignal', 'passOnRemembered'],
								},
								crowdOut: { description: 'ignored: the child has no process yet' },
								stop: {
									actions: ['keepKillTimeout', 'rememberSignal'],
									description: 'the new signal replaces the unsent signal',
								},
								forward: { actions: 'rememberForward' },
							},
						},
						draining: {
							tags: 'leaving',
							description: 'The stop signal was sent. The child may drain until its kill timeout elapses.',
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
								'The leader has exited. The supervisor waits for surviving processes that hold a listener; with a kill timeout, for all surviving processes until it elapses.',
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
							description: 'SIGKILL was sent: the kill timeout elapsed, or too many generations drain.',
							on: {
								'child.exited': {
									guard: 'leavesOthersInTime',
									actions: ['keepEnd', 'kill'],
									description: 'surviving processes are killed too',
								},
							},
						},
					},
				},
			},
		},
		exited: { type: 'final', tags: 'gone', description: 'The child has exited, or could not be spawned.' },
	},
	output: ({ context: { child, loss, forwarding, reached, end } }) => ({
		child,
		...loss,
		wasForwarded: forwarding.wasForwarded,
		upAt: reached.upAt,
		endedAt: end.at,
		seq: end.seq,
	}),
});
