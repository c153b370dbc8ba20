/** The types of the journal's lines, and the schemas to read them back. Documented in docs/journal.md. */
import {
	array,
	boolean,
	type GenericSchema,
	literal,
	nullable,
	number,
	object,
	optional,
	picklist,
	string,
} from 'valibot';
import type { Fact, FactOf, FactType } from '../../machines/facts/facts.ts';
import type { TimedType } from '../../machines/facts/stamp.ts';
import type { Counters } from '../../machines/state/counters.ts';
import type { Projections } from '../../machines/state/projections.ts';
import type { Rotations } from '../../machines/state/rotations.ts';
import type { SupervisorState } from '../../machines/state/supervisorState.ts';
import type { Listener } from '../sockets/listener.ts';
import { fileSchema } from '../sockets/socketFile.ts';
import {
	asker,
	code,
	count,
	countersSchema,
	type Fields,
	holderSchema,
	plan,
	requests,
	rotationsSchema,
	shape,
	signalReason,
	stateSchema,
	time,
	word,
} from './stateSchemas.ts';

export interface Header {
	journal: number;
	program: string;
	/** Contents of /proc/sys/kernel/random/boot_id. */
	boot: string;
	/**
	 * The value of SOCKETMASTER_RUN in the environment of children. It is the same across upgrades and recoveries.
	 */
	run: string;
	pid: number;
	startTime: number;
	args: string[];
	listeners: Pick<Listener, 'uri' | 'address' | 'inode' | 'file'>[];
	/** The directory of the notify sockets of children; null if there is no such directory. */
	notifyDir: string | null;
}

/** The projections of all facts up to `seq`. With `gap`, the file lacks some of these facts. */
export interface Checkpoint {
	checkpoint: SupervisorState;
	rotations: Rotations;
	counters: Counters;
	seq: number;
	at: number;
	gap?: true | undefined;
}

export function projectionsOf({ checkpoint, rotations, counters }: Checkpoint): Projections {
	return { state: checkpoint, rotations, counters };
}

export type JournalLine = Header | Checkpoint | Fact;

/**
 * One schema for each field of a fact. A fact that starts a wait has a `clock`, which an earlier program may not have
 * written.
 */
type FactFields<T extends FactType> = Fields<Omit<FactOf<T>, 'seq' | 'at' | 'type' | 'clock' | 'cause'>> &
	(T extends TimedType | 'child.ready' | 'child.verifying'
		? { clock: GenericSchema<unknown, number | undefined> }
		: object);

/** Builds the schemas when a journal is read. A start without a journal does not build them. */
export function newSchemas() {
	const fact = <T extends FactType>(type: T, fields: FactFields<T>) =>
		shape<FactOf<T>>({
			seq: count(),
			at: time(),
			type: literal(type),
			cause: optional(count()),
			...fields,
		} as unknown as Fields<FactOf<T>>);
	const state = stateSchema();
	const lastOutput = optional(array(string()));
	const facts: { [T in FactType]: GenericSchema<unknown, FactOf<T>> } = {
		'supervisor.started': fact('supervisor.started', { pid: number(), plan: plan() }),
		'supervisor.recovered': fact('supervisor.recovered', { pid: number(), by: picklist(['start', 'upgrade']), state }),
		'signal.HUP': fact('signal.HUP', {}),
		'signal.TERM': fact('signal.TERM', {}),
		'signal.INT': fact('signal.INT', {}),
		'signal.QUIT': fact('signal.QUIT', {}),
		'signal.USR1': fact('signal.USR1', {}),
		'signal.USR2': fact('signal.USR2', {}),
		'rotate.requested': fact('rotate.requested', {}),
		'stop.requested': fact('stop.requested', { kill: optional(number()) }),
		'upgrade.requested': fact('upgrade.requested', {}),
		'child.spawned': fact('child.spawned', {
			child: number(),
			pid: number(),
			startTime: number(),
			pipe: nullable(number()),
			program: optional(nullable(string())),
			directory: optional(nullable(string())),
			clock: number(),
		}),
		'child.spawnFailed': fact('child.spawnFailed', {
			child: number(),
			reason: string(),
			code: optional(literal('environment')),
			clock: number(),
		}),
		'child.announced': fact('child.announced', {
			child: number(),
			by: picklist(['notify', 'ack']),
			clock: optional(number()),
		}),
		'child.delayed': fact('child.delayed', { child: number(), millis: number(), clock: number() }),
		'deadline.moved': fact('deadline.moved', { child: number(), deadline: number() }),
		'child.verifying': fact('child.verifying', { child: number(), by: word(), clock: optional(number()) }),
		'child.verified': fact('child.verified', {
			child: number(),
			isSeen: boolean(),
			reason: optional(string()),
			blocking: optional(array(string())),
			clock: number(),
		}),
		'child.unseen': fact('child.unseen', { child: number(), reason: string() }),
		'child.unverified': fact('child.unverified', {
			child: number(),
			missing: array(string()),
			reason: optional(string()),
			clock: number(),
			lastOutput,
		}),
		'child.rejected': fact('child.rejected', { child: number(), reason: string(), code: optional(code()) }),
		'respawn.scheduled': fact('respawn.scheduled', {
			generation: number(),
			index: count(),
			attempt: count(),
			wasUp: boolean(),
			millis: number(),
			clock: number(),
		}),
		'child.watched': fact('child.watched', { child: number(), millis: number() }),
		'child.hung': fact('child.hung', {
			child: number(),
			pid: number(),
			millis: number(),
			isTriggered: boolean(),
			attempt: count(),
			clock: number(),
		}),
		'respawn.due': fact('respawn.due', { generation: number(), index: count() }),
		'restart.scheduled': fact('restart.scheduled', { attempt: count(), millis: number(), clock: number() }),
		'restart.due': fact('restart.due', {}),
		'bake.started': fact('bake.started', { generation: number(), millis: number(), clock: number() }),
		'bake.due': fact('bake.due', {}),
		'check.started': fact('check.started', { generation: number(), millis: number(), clock: number() }),
		'check.tried': fact('check.tried', { generation: number(), problem: string() }),
		'check.passed': fact('check.passed', { generation: number(), status: number(), millis: number() }),
		'check.failed': fact('check.failed', {
			generation: number(),
			problem: string(),
			reason: string(),
			millis: number(),
			lastOutput: optional(array(string())),
		}),
		'child.exited': fact('child.exited', {
			child: number(),
			pid: number(),
			code: nullable(number()),
			signal: nullable(string()),
			status: number(),
			survivors: array(number()),
			holders: optional(array(holderSchema())),
			hint: optional(string()),
			clock: number(),
			lastOutput,
		}),
		'child.stopped': fact('child.stopped', { child: number(), pid: number(), clock: number(), lastOutput }),
		'group.gone': fact('group.gone', { child: number() }),
		'timer.elapsed': fact('timer.elapsed', {
			child: number(),
			timer: picklist(['boot', 'kill']),
			ignored: optional(string()),
			clock: optional(number()),
			lastOutput,
		}),
		'upgrade.verified': fact('upgrade.verified', {}),
		'upgrade.refused': fact('upgrade.refused', { reason: string() }),
		'upgrade.failed': fact('upgrade.failed', { reason: string() }),
		'generation.started': fact('generation.started', { generation: number(), trigger: asker(), size: number() }),
		'generation.promoted': fact('generation.promoted', {
			generation: number(),
			replaced: array(number()),
			restarts: optional(literal(0)),
		}),
		'generation.failed': fact('generation.failed', {
			generation: number(),
			serving: nullable(number()),
			reason: string(),
			code: optional(nullable(code())),
		}),
		'generation.degraded': fact('generation.degraded', {
			generation: number(),
			replaced: array(number()),
			reason: string(),
			code: optional(nullable(code())),
		}),
		'generation.exhausted': fact('generation.exhausted', {
			generation: number(),
			deaths: count(),
			status: number(),
		}),
		'child.spawning': fact('child.spawning', { child: number(), generation: number(), index: count() }),
		'child.ready': fact('child.ready', { child: number(), clock: optional(number()) }),
		'child.signalled': fact('child.signalled', {
			child: number(),
			signal: string(),
			reason: signalReason(),
			clock: number(),
		}),
		'child.lost': fact('child.lost', { child: number(), status: number() }),
		'child.abandoned': fact('child.abandoned', { child: number() }),
		'stop.cancelled': fact('stop.cancelled', {}),
		'rotation.queued': fact('rotation.queued', { trigger: asker(), behind: number() }),
		'request.refused': fact('request.refused', {
			request: picklist(requests),
			reason: picklist(['stopping', 'upgrading', 'not-draining']),
			generation: optional(number()),
		}),
		'signal.forwarded': fact('signal.forwarded', { signal: string() }),
		'generation.stopRequested': fact('generation.stopRequested', { generation: number(), kill: optional(count()) }),
		'generation.stopBegun': fact('generation.stopBegun', {
			generation: number(),
			signal: string(),
			kill: optional(count()),
			clock: number(),
		}),
		'stop.begun': fact('stop.begun', {
			request: picklist(requests),
			signal: string(),
			kill: number(),
			clock: number(),
		}),
		'service.lost': fact('service.lost', {}),
		'upgrade.begun': fact('upgrade.begun', {}),
	};
	const header: GenericSchema<unknown, Header> = object({
		journal: number(),
		program: string(),
		boot: string(),
		run: string(),
		pid: number(),
		startTime: number(),
		args: array(string()),
		listeners: array(object({ uri: string(), address: string(), inode: number(), file: fileSchema() })),
		notifyDir: nullable(string()),
	});
	const checkpoint = shape<Checkpoint>({
		checkpoint: state,
		rotations: rotationsSchema(),
		counters: countersSchema(),
		seq: count(),
		at: time(),
		gap: optional(literal(true)),
	});
	return { facts, header, checkpoint };
}
