/** One child process, from the decision to spawn it to its last breath. */
import { bootTime, childSetup, decisions, isAdopted } from './childSetup.ts';
import { patienceWith } from './patience.ts';

/** It had to say by now that it is up. */
const rejection = {
	target: '#child.alive.leaving.draining',
	actions: [{ type: 'decide', params: decisions.rejected }, 'reject', 'tellRejected'],
} as const;

/** Told again, by a stop that may have a patience of its own. */
const stopAgain = <T extends 'draining' | 'lingering'>(target: T) =>
	[
		{
			guard: 'changesPatience',
			target,
			reenter: true,
			actions: ['keepPatience', 'obey'],
			description: 'sent again; its wait begins again',
		},
		{ actions: 'obey', description: 'sent again; patience ends when it did' },
	] as const;

export const childMachine = childSetup.createMachine({
	id: 'child',
	description: 'One process of the server.',
	context: ({ input }) => ({
		...input,
		adopted: null,
		pid: null,
		born: null,
		deadline: null,
		upAt: null,
		isRejected: false,
		wasForwarded: false,
		wasStopped: false,
		farewell: { signal: input.plan.drain, reason: 'drain' },
		forwards: [],
		status: null,
		reason: '',
		end: { seq: 0, at: 0 },
	}),
	initial: 'beginning',
	states: {
		beginning: {
			tags: 'passing',
			description: 'It is about to learn whether there is a process already.',
			on: {
				spawn: { target: 'alive', actions: { type: 'decide', params: decisions.spawning } },
				adopt: [
					{ guard: isAdopted('spawning'), target: 'alive.staying.spawning' },
					{
						guard: 'isAdoptedAnnounced',
						target: 'alive.staying.proving',
						actions: ['keepAdopted', { type: 'decide', params: decisions.proving }],
						description: 'it had said that it is up',
					},
					{ guard: isAdopted('booting'), target: 'alive.staying.booting', actions: 'keepAdopted' },
					{ guard: isAdopted('proving'), target: 'alive.staying.proving', actions: 'keepAdopted' },
					{ guard: isAdopted('serving'), target: 'alive.staying.serving', actions: 'keepAdopted' },
					{ guard: isAdopted('draining'), target: 'alive.leaving.draining', actions: 'keepAdopted' },
					{ guard: isAdopted('killing'), target: 'alive.leaving.killing', actions: 'keepAdopted' },
					{ guard: 'isAdoptedLingeringInTime', target: 'alive.leaving.lingering', actions: 'keepAdopted' },
					{
						target: 'exited',
						actions: { type: 'decide', params: decisions.abandoned },
						description: 'its group is not to be waited for',
					},
				],
			},
		},
		alive: {
			description: 'It has a process, or is about to have one.',
			invoke: {
				id: 'process',
				src: 'process',
				input: ({ context: { child, generation, index, adopted } }) =>
					adopted?.pid
						? { child, generation, index, adopted: adopted.pid, isLingering: adopted.phase === 'lingering' }
						: { child, generation, index },
			},
			on: {
				forward: { actions: 'passOn' },
				'child.announced': { description: 'ignored: it is known already' },
				'child.delayed': { description: 'ignored: nobody waits for it' },
				carryOn: { description: 'ignored: it does' },
			},
			initial: 'staying',
			states: {
				staying: {
					description: 'It is wanted.',
					on: {
						leave: { target: 'leaving.draining', actions: 'obey' },
						stop: { target: 'leaving.draining', actions: ['keepPatience', 'obey'] },
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
								leave: { target: '#child.alive.leaving.recalled', actions: 'rememberFarewell' },
								stop: { target: '#child.alive.leaving.recalled', actions: ['keepPatience', 'rememberFarewell'] },
								forward: { actions: 'rememberForward' },
							},
						},
						booting: {
							tags: 'coming',
							description:
								'It runs, and has neither said that it is up nor stayed alive for as long as -start asks; with -ready=notify it has to say so in that time.',
							invoke: {
								id: 'boot',
								src: 'timer',
								input: ({ context }) => ({
									child: context.child,
									timer: 'boot',
									millis: bootTime(context),
									since: context.deadline === null ? (context.adopted?.clock ?? null) : context.born,
								}),
							},
							on: {
								'child.announced': {
									target: 'proving',
									actions: { type: 'decide', params: decisions.proving },
								},
								'timer.elapsed': [
									{
										guard: 'isBootTimerThatProves',
										target: 'proving',
										actions: { type: 'decide', params: decisions.proving },
									},
									{ guard: 'isBootTimer', ...rejection },
								],
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
						proving: {
							tags: 'coming',
							description: 'It is to be up: does it, or a process descended from it, hold every listening socket?',
							invoke: { id: 'proof', src: 'proof', input: ({ context: { child } }) => ({ child }) },
							on: {
								'child.proved': {
									target: 'serving',
									actions: ['keepUp', { type: 'decide', params: decisions.ready }, 'tellUp'],
								},
								'child.unproved': { target: 'doubted', actions: ['keepDoubt', 'tellDoubted'] },
							},
						},
						doubted: {
							tags: 'ill',
							description: 'It does not hold what it was given: its generation says what becomes of it.',
							on: {
								carryOn: {
									target: 'serving',
									actions: [{ type: 'decide', params: decisions.ready }, 'tellUp'],
								},
							},
						},
						serving: { tags: 'well', description: 'It is up.' },
					},
				},
				leaving: {
					description: 'It was told to leave.',
					on: {
						leave: { description: 'ignored: told once is told' },
						stop: { actions: 'obey', description: 'sent again' },
						'group.gone': '#child.exited',
						'child.exited': [
							{ guard: 'leavesOthersInTime', target: '.lingering', actions: 'keepEnd' },
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
						recalled: {
							tags: 'leaving',
							description: 'It is to leave as soon as it has a pid.',
							on: {
								'child.spawned': { target: 'draining', actions: ['keepProcess', 'bidFarewell', 'passOnRemembered'] },
								stop: {
									actions: ['keepPatience', 'rememberFarewell'],
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
								input: ({ context }) => ({
									child: context.child,
									timer: 'kill',
									millis: patienceWith(context.plan, context.isRejected),
									since: context.adopted?.phase === 'draining' ? context.adopted.clock : null,
								}),
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
						lingering: {
							tags: 'leaving',
							description: 'It has left, others of its process group have not: they may take as long as -kill allows.',
							invoke: {
								id: 'kill',
								src: 'timer',
								input: ({ context: { child, plan, adopted } }) => ({
									child,
									timer: 'kill',
									millis: plan.kill > 0 ? plan.kill : null,
									since: adopted?.phase === 'lingering' ? adopted.clock : null,
								}),
							},
							on: {
								stop: stopAgain('lingering'),
								'timer.elapsed': { guard: 'isKillTimer', target: 'killing', actions: 'kill' },
							},
						},
						killing: { tags: 'ill', description: 'It did not leave in time and was killed.' },
					},
				},
			},
		},
		exited: { type: 'final', tags: 'gone', description: 'It is gone.' },
	},
	output: ({ context: { child, status, reason, wasForwarded, upAt, end } }) => ({
		child,
		status,
		reason,
		wasForwarded,
		upAt,
		endedAt: end.at,
		seq: end.seq,
	}),
});
