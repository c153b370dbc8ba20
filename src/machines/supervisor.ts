/** The supervisor: which generation serves, which one boots, who was told to leave, when all is over. */
import type { Plan } from './facts.ts';
import { supervisorSetup } from './vocabulary.ts';

/** Until the first fact tells better. */
const nothing: Plan = { start: 0, kill: 0, drain: 'HUP', size: 1 };

export const supervisorMachine = supervisorSetup.createMachine({
	id: 'supervisor',
	context: {
		plan: nothing,
		serving: 0,
		candidate: null,
		lastGeneration: 0,
		lastChild: 0,
		queued: false,
		lost: false,
		stopSignal: null,
		status: 0,
		members: {},
	},
	invoke: [
		{ id: 'facts', src: 'facts' },
		{ id: 'upgrade', src: 'upgrade' },
	],
	initial: 'starting',
	on: {
		// child.spawning and child.signalled are what this chart decided itself: nothing follows from them.
		'child.spawned': { guard: 'isMember', actions: ['rememberPid', 'passOnToChild'] },
		'child.spawnFailed': { guard: 'isMember', actions: 'passOnToChild' },
		'child.exited': { guard: 'isMember', actions: 'passOnToChild' },
		'timer.elapsed': { guard: 'isMember', actions: 'passOnToChild' },
		'child.ready': { actions: 'markReady' },
		'child.gone': { actions: 'forget' },
		'signal.TERM': { target: '.stopping', actions: 'stop' },
		'signal.INT': { target: '.stopping', actions: 'stop' },
		'stop.requested': { target: '.stopping', actions: 'stop' },
		'signal.QUIT': { actions: 'forward' },
		'signal.USR1': { actions: 'passOnToUpgrade' },
		'signal.USR2': { actions: 'passOnToUpgrade' },
		'upgrade.verified': { actions: 'passOnToUpgrade' },
		'upgrade.refused': { actions: 'passOnToUpgrade' },
	},
	states: {
		starting: {
			on: {
				'supervisor.started': {
					guard: 'isFresh',
					actions: ['keepPlan', 'startGeneration'],
				},
				'supervisor.recovered': [
					{ guard: 'wasStopping', target: 'stopping', actions: ['adopt', 'catchUp'] },
					{ guard: 'wasStarting', actions: ['adopt', 'catchUp'] },
					{ guard: 'wasRotating', target: 'rotating', actions: ['adopt', 'catchUp'] },
					{ target: 'settling', actions: ['adopt', 'catchUp'] },
				],
				'signal.HUP': { actions: 'queue' },
				'rotate.requested': { actions: 'queue' },
			},
			always: [
				{ guard: 'isOver', target: 'stopped' },
				{ guard: 'isReady', target: 'settling', actions: 'promote' },
			],
		},
		running: {
			on: {
				'signal.HUP': { target: 'rotating', actions: ['sayRotating', 'startGeneration'] },
				'rotate.requested': { target: 'rotating', actions: ['sayRotating', 'startGeneration'] },
			},
			always: { guard: 'isOver', target: 'stopped' },
		},
		rotating: {
			on: {
				'signal.HUP': { actions: 'queue' },
				'rotate.requested': { actions: 'queue' },
			},
			always: [
				{ guard: 'isOver', target: 'stopped' },
				{ guard: 'isLost', target: 'settling', actions: 'giveUp' },
				{ guard: 'isReady', target: 'settling', actions: 'promote' },
			],
		},
		draining: {
			on: {
				'signal.HUP': { target: 'rotating', actions: ['sayRotating', 'startGeneration'] },
				'rotate.requested': { target: 'rotating', actions: ['sayRotating', 'startGeneration'] },
			},
			always: [
				{ guard: 'isOver', target: 'stopped' },
				{ guard: 'hasLeaving', description: 'somebody still drains' },
				{ target: 'running' },
			],
		},
		settling: {
			description: 'Passed through at once: a rotation has ended, what comes next?',
			always: [
				{ guard: 'isOver', target: 'stopped' },
				{ guard: 'isQueued', target: 'rotating', actions: ['sayQueued', 'startGeneration'] },
				{ guard: 'hasLeaving', target: 'draining' },
				{ target: 'running' },
			],
		},
		stopping: {
			on: {
				'signal.HUP': { actions: 'refuse' },
				'rotate.requested': { actions: 'refuse' },
				'signal.USR1': { actions: 'refuse' },
				'signal.USR2': { actions: 'refuse' },
			},
			always: { guard: 'isOver', target: 'stopped' },
		},
		stopped: { type: 'final' },
	},
	output: ({ context }) => ({ status: context.stopSignal === null ? context.status : 0 }),
});
