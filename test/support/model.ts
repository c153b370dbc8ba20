/** A small model of processes, for random runs: who lives, who was told what. */
import { createActor, type EventObject, fromCallback } from 'xstate';
import { newDispatcher } from '../../src/effects/dispatcher.ts';
import type {
	HealthCheckInput,
	ListenerCheckInput,
	ProcessCommand,
	ProcessInput,
	TimerInput,
} from '../../src/machines/charts/protocol.ts';
import { deliver, supervisorIn } from '../../src/machines/charts/world.ts';
import type { ExternalEvent, Fact, Plan, SignalReason } from '../../src/machines/facts/facts.ts';
import { isDecision } from '../../src/machines/facts/stamp.ts';

export interface ModelProcess {
	child: number;
	generation: number;
	pid: number | null;
	isAlive: boolean;
	isUp: boolean;
	holdsSockets: boolean;
	signals: { signal: string; reason: SignalReason }[];
	waits: Set<'boot' | 'kill'>;
}

export interface Told {
	child: number;
	signal: string;
	reason: SignalReason;
}

/** A supervisor whose processes are rows in a table. Its door is the real one. */
export function modelWorld(plan: Plan, canSpawn: () => boolean, lacksSockets: () => boolean = () => false) {
	const respawns = new Map<string, () => void>();
	const restarts = new Set<TimerInput>();
	const bakes = new Set<TimerInput>();
	const checks = new Set<Pick<HealthCheckInput, 'generation' | 'purpose'>>();
	const processes = new Map<number, ModelProcess>();
	const history: Fact[] = [];
	let now = 1_000_000;
	let spawnedSince = 0;
	let told: Told[] = [];
	const dispatcher = newDispatcher({
		record: (fact) => {
			history.push(fact);
			if (!isDecision(fact) || fact.type !== 'child.signalled') return;
			processes.get(fact.child)?.signals.push(fact);
			told.push(fact);
		},
		now: () => now,
	});
	const actor = createActor(
		supervisorIn({
			decide: dispatcher.decide,
			process: fromCallback<ProcessCommand, ProcessInput>(({ input: { child, generation } }) => {
				const own: ModelProcess = {
					child,
					generation,
					pid: null,
					isAlive: false,
					isUp: false,
					holdsSockets: !lacksSockets(),
					signals: [],
					waits: new Set(),
				};
				processes.set(child, own);
				spawnedSince += 1;
				if (canSpawn()) {
					Object.assign(own, { pid: 100 + child, isAlive: true });
					dispatcher.admit({ type: 'child.spawned', child, pid: 100 + child, startTime: child, pipe: child });
				} else {
					dispatcher.admit({ type: 'child.spawnFailed', child, reason: 'no' });
				}
			}),
			timer: fromCallback<EventObject, TimerInput>(({ input }) => {
				if (input.millis === null) return;
				if (input.timer === 'respawn') {
					const { generation, index } = input;
					respawns.set(`${generation}.${index}`, () => dispatcher.admit({ type: 'respawn.due', generation, index }));
					return () => respawns.delete(`${generation}.${index}`);
				}
				if (input.timer === 'restart') {
					restarts.add(input);
					return () => restarts.delete(input);
				}
				if (input.timer === 'bake') {
					bakes.add(input);
					return () => bakes.delete(input);
				}
				const { timer } = input;
				const { waits } = processes.get(input.child) ?? { waits: new Set() };
				waits.add(timer);
				return () => waits.delete(timer);
			}),
			listenerCheck: fromCallback<EventObject, ListenerCheckInput>(({ input: { child, purpose } }) => {
				const own = processes.get(child);
				if (purpose === null || purpose === 'notice') return;
				if (own && purpose === 'readiness') own.isUp = own.holdsSockets;
				if (own?.holdsSockets) dispatcher.admit({ type: 'child.verified', child, isSeen: true });
				else dispatcher.admit({ type: 'child.unverified', child, missing: ['tcp://:80 (its fd 3)'] });
			}),
			healthCheck: fromCallback<EventObject, HealthCheckInput>(({ input: { generation, purpose } }) => {
				if (purpose === null) return;
				const reports = { generation, purpose };
				checks.add(reports);
				return () => checks.delete(reports);
			}),
			preflight: fromCallback(() => {}),
			handover: fromCallback(() => {}),
		}),
	);
	dispatcher.connect((external) => deliver(actor, external));
	actor.start();

	const admit = (external: ExternalEvent) => {
		now += 1;
		dispatcher.admit(external);
	};
	const living = () => [...processes.values()].filter((each) => each.isAlive);

	/** What may happen next. */
	function possibilities(): (() => void)[] {
		const exits = living().flatMap((own) => [
			() => {
				own.isAlive = false;
				admit({
					type: 'child.exited',
					child: own.child,
					pid: own.pid ?? 0,
					code: 1,
					signal: null,
					status: 1,
					survivors: [],
				});
			},
		]);
		const timers = living().flatMap((own) =>
			[...own.waits].map((timer) => () => {
				if (timer === 'boot' && plan.ready === 'wait') own.isUp = true;
				admit({ type: 'timer.elapsed', child: own.child, timer });
			}),
		);
		const words = living().flatMap((own) =>
			own.waits.has('boot')
				? [
						() => {
							own.isUp = true;
							admit({ type: 'child.announced', child: own.child, by: 'notify' });
						},
						() => admit({ type: 'child.delayed', child: own.child, millis: 5000 }),
					]
				: [],
		);
		const signals = (['HUP', 'HUP', 'QUIT', 'TERM', 'INT'] as const).map(
			(name) => () => admit({ type: `signal.${name}` }),
		);
		// Waits end more often than processes or the supervisor do.
		const dueRestarts = [...restarts].map(() => () => admit({ type: 'restart.due' }));
		const dueBakes = [...bakes].map(() => () => admit({ type: 'bake.due' }));
		const checkReports = [...checks].flatMap(({ generation, purpose }) => [
			...(purpose === 'bake' ? [] : [() => admit({ type: 'check.passed', generation, status: 200, millis: 1 })]),
			...(purpose === 'degraded'
				? []
				: [() => admit({ type: 'check.failed', generation, problem: '503', reason: 'it answers 503', millis: 1 })]),
		]);
		return [
			...timers,
			...timers,
			...checkReports,
			...dueBakes,
			...words,
			...exits,
			...respawns.values(),
			...respawns.values(),
			...dueRestarts,
			...signals,
		];
	}

	admit({ type: 'supervisor.started', pid: 1, plan });
	return {
		actor,
		history,
		processes,
		living,
		isRespawning: () => respawns.size > 0,
		possibilities,
		/** What the supervisor did since the last call. */
		takeEffects() {
			const effects = { told, spawned: spawnedSince };
			told = [];
			spawnedSince = 0;
			return effects;
		},
	};
}
