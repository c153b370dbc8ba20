/**
 * A simulated supervisor for tests of programs that work with one: deploy scripts, monitors, servers. It has the
 * statecharts of the real one, no process and no clock.
 *
 *     import { simulate } from 'socketmaster/testing';
 *
 *     const supervisor = simulate({ ready: 'notify' });
 *     supervisor.spawned(1).announced(1);           // generation 1 serves
 *     supervisor.signal('HUP').spawned(2).exited(2, 3);
 *     supervisor.rotations().at(-1);                 // { generation: 2, result: 'failed', code: 'exited', ... }
 */
import { type ExternalEvent, type Fact, type Plan, usualPlan } from '../machines/facts/facts.ts';
import { isExternalType } from '../machines/facts/stamp.ts';
import type { Rotation } from '../machines/state/rotations.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import { simulate as newSimulation } from './simulation.ts';

export type { ExternalEvent, Fact, Plan, Rotation, SupervisorState };

/** Children have the numbers 1, 2, ... in the order of their spawns, and the pids 101, 102, ... */
export interface SimulatedSupervisor {
	/** The process of a child is started. */
	spawned(child: number): SimulatedSupervisor;
	/** The child reports that it is ready (sd_notify, or an ack). */
	announced(child: number): SimulatedSupervisor;
	/** The -start wait of the child elapses. */
	waited(child: number): SimulatedSupervisor;
	/** The child is seen to accept. */
	verified(child: number): SimulatedSupervisor;
	/** The -start wait of the child elapses, and it is seen to accept if another generation serves. */
	up(child: number): SimulatedSupervisor;
	/** The child exits with this status. */
	exited(child: number, status?: number): SimulatedSupervisor;
	/** The child is killed by the signal of this number. */
	killed(child: number, signal: number): SimulatedSupervisor;
	/** The supervisor receives a signal. */
	signal(name: 'HUP' | 'TERM' | 'INT' | 'QUIT'): SimulatedSupervisor;
	/** Sends any other events, such as `{ type: 'rotate.requested' }`; the journal's documentation lists them. */
	tell(...events: ExternalEvent[]): SimulatedSupervisor;
	/** Time passes, in milliseconds. Timers do not elapse by it: `waited` and `tell` say so. */
	wait(millis: number): SimulatedSupervisor;

	/** `starting`, `running`, `rotating`, `checking`, `baking`, `draining`, `unserved`, `stopping` or `stopped`. */
	state(): string;
	/** The exit status of the supervisor; undefined while it runs. */
	status(): number | undefined;
	/** The phase of each living child: `{ 1: 'draining', 2: 'serving' }`. */
	phases(): Record<number, string>;
	/** The orders to processes since the last call: `['spawn 2', 'HUP to 1']`. */
	decided(): string[];
	/** The rotations, as `GET /rotations` of the control socket shows them. */
	rotations(): Rotation[];
	/** The state, as a journal's checkpoint has it. */
	supervisorState(): SupervisorState | null;
	/** All facts so far, as a journal has them. */
	readonly history: Fact[];
	/** The lines of the log so far. */
	readonly log: string[];
}

/**
 * A supervisor that has just started, with its first children to be spawned.
 * @param plan the options that differ from the defaults, such as `{ size: 2, respawn: 0, bake: 5000 }`
 * @throws {TypeError} for an option, a child or an event that does not exist: a test with a slip would pass otherwise
 */
export function simulate(plan: Partial<Plan> = {}): SimulatedSupervisor {
	for (const [name, value] of Object.entries(plan)) checkOption(name as keyof Plan, value);
	return newSimulation(checkEvent).start(plan);
}

const choices: { [K in keyof Plan]?: readonly unknown[] } = {
	ready: ['wait', 'accept', 'notify'],
	verify: ['accept', 'hold', 'none'],
};

function checkOption(name: keyof Plan, value: unknown): void {
	if (!Object.hasOwn(usualPlan, name))
		throw new TypeError(`there is no option ${name}; there are ${Object.keys(usualPlan).join(', ')}`);
	const allowed = choices[name];
	const usual = usualPlan[name];
	const isOfType = name === 'stop' ? value === null || typeof value === 'string' : typeof value === typeof usual;
	if (!isOfType || (allowed && !allowed.includes(value)))
		throw new TypeError(`${name} can't be ${JSON.stringify(value)}`);
}

function checkEvent(event: ExternalEvent, state: SupervisorState | null): void {
	if (typeof event !== 'object' || event === null || !isExternalType(event.type))
		throw new TypeError(`there is no event ${JSON.stringify(event)}`);
	if (!('child' in event)) return;
	const known = state?.children.find(({ child }) => child === event.child);
	if (!known) throw new TypeError(`${event.type}: there is no child ${event.child}`);
	const isSpawn = event.type === 'child.spawned' || event.type === 'child.spawnFailed';
	if (isSpawn !== (known.pid === null))
		throw new TypeError(
			`${event.type}: child ${event.child} ${isSpawn ? 'has a process already' : 'has no process yet'}`,
		);
}
