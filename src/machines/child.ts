/** One child process, from the decision to spawn it to its last breath. */
import { childSetup, decisions, isAdopted, shortestAgain } from './childSetup.ts';

export const childMachine = childSetup.createMachine({
	id: 'child',
	description: 'One process of the server.',
	context: ({ input }) => ({
		...input,
		adopted: null,
		wasStopped: false,
		farewell: { signal: input.plan.drain, reason: 'drain' },
		forwards: [],
		status: null,
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
					{ guard: isAdopted('booting'), target: 'alive.staying.booting', actions: 'keepAdopted' },
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
				input: ({ context: { child, generation, adopted } }) =>
					adopted?.pid
						? { child, generation, adopted: adopted.pid, isLingering: adopted.phase === 'lingering' }
						: { child, generation },
			},
			on: { forward: { actions: 'passOn' } },
			initial: 'staying',
			states: {
				staying: {
					description: 'It is wanted.',
					on: {
						leave: { target: 'leaving.draining', actions: 'obey' },
						stop: { target: 'leaving.draining', actions: 'obey' },
						'child.exited': [
							{
								guard: 'leavesOthers',
								target: '#child.exited',
								actions: [
									{ type: 'decide', params: decisions.lost },
									'keepStatus',
									{ type: 'decide', params: decisions.abandoned },
								],
							},
							{
								target: '#child.exited',
								actions: [{ type: 'decide', params: decisions.lost }, 'keepStatus'],
							},
						],
						'child.spawnFailed': {
							target: '#child.exited',
							actions: [{ type: 'decide', params: decisions.lost }, 'keepStatus'],
						},
					},
					initial: 'spawning',
					states: {
						spawning: {
							tags: 'coming',
							description: 'It is being spawned and has no pid yet.',
							on: {
								'child.spawned': { target: 'booting', actions: 'passOnRemembered' },
								leave: { target: '#child.alive.leaving.recalled', actions: 'rememberFarewell' },
								stop: { target: '#child.alive.leaving.recalled', actions: 'rememberFarewell' },
								forward: { actions: 'rememberForward' },
							},
						},
						booting: {
							tags: 'coming',
							description: 'It runs, and has not yet stayed alive for as long as -start asks.',
							invoke: {
								id: 'boot',
								src: 'timer',
								input: ({ context: { child, plan, adopted, wasStopped } }) => ({
									child,
									timer: 'boot',
									millis: Math.max(wasStopped ? shortestAgain : 0, plan.start),
									since: adopted?.clock ?? null,
								}),
							},
							on: {
								'timer.elapsed': {
									guard: 'isBootTimer',
									target: 'serving',
									actions: [{ type: 'decide', params: decisions.ready }, 'tellUp'],
								},
								'child.stopped': {
									target: 'booting',
									reenter: true,
									actions: 'keepStopped',
									description: 'waited for once more',
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
						stop: { actions: 'obey', description: 'sent again; patience ends when it did' },
						'group.gone': '#child.exited',
						'child.exited': [
							{ guard: 'leavesOthersInTime', target: '.lingering' },
							{
								guard: 'leavesOthers',
								target: '#child.exited',
								actions: { type: 'decide', params: decisions.abandoned },
							},
							{ target: '#child.exited' },
						],
						'child.spawnFailed': '#child.exited',
					},
					initial: 'draining',
					states: {
						recalled: {
							tags: 'leaving',
							description: 'It is to leave as soon as it has a pid.',
							on: {
								'child.spawned': { target: 'draining', actions: ['bidFarewell', 'passOnRemembered'] },
								stop: { actions: 'rememberFarewell', description: 'a stop overrides what was never sent' },
								forward: { actions: 'rememberForward' },
							},
						},
						draining: {
							tags: 'leaving',
							description: 'It finishes what it has begun, for as long as -kill allows.',
							invoke: {
								id: 'kill',
								src: 'timer',
								input: ({ context: { child, plan, adopted } }) => ({
									child,
									timer: 'kill',
									millis: plan.kill > 0 ? plan.kill : null,
									since: adopted?.phase === 'draining' ? adopted.clock : null,
								}),
							},
							on: {
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
									millis: plan.kill,
									since: adopted?.phase === 'lingering' ? adopted.clock : null,
								}),
							},
							on: {
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
	output: ({ context: { child, status } }) => ({ child, status }),
});
