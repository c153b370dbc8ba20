/** Schemas of the projections, as read from a journal, a handover or a control socket. */
import {
	array,
	boolean,
	check,
	type GenericSchema,
	integer,
	literal,
	maxValue,
	minValue,
	nullable,
	number,
	object,
	optional,
	picklist,
	pipe,
	safeInteger,
	string,
	transform,
	union,
} from 'valibot';
import {
	failureCodes,
	type Request,
	readySources,
	signalReasons,
	triggers,
	usualVerify,
} from '../../machines/facts/facts.ts';
import type { Counters } from '../../machines/state/counters.ts';
import type { Rotation, Rotations } from '../../machines/state/rotations.ts';
import {
	type ChildState,
	type Ended,
	noChecks,
	phases,
	type Respawn,
	type SupervisorState,
} from '../../machines/state/supervisorState.ts';

/** One schema for each field, optional ones included. A missing schema is a compile error. */
export type Fields<T> = { [K in keyof T]-?: GenericSchema<unknown, T[K]> };

export function shape<T extends object>(fields: Fields<T>): GenericSchema<unknown, T> {
	return object(fields as Record<string, GenericSchema>) as unknown as GenericSchema<unknown, T>;
}

const signals = ['signal.HUP', 'signal.TERM', 'signal.INT', 'signal.QUIT', 'signal.USR1', 'signal.USR2'] as const;
const bareRequests = [...signals, 'rotate.requested', 'upgrade.requested'] as const;
const keptRequests = [...bareRequests, 'stop.requested'] as const;
export const requests = [...keptRequests, 'generation.stopRequested'] as const;
export const word = () => picklist(readySources);
export const signalReason = () => picklist(signalReasons);
export const code = () => picklist(failureCodes);
export const asker = () => picklist(triggers);
/** A time in milliseconds since 1970, up to the year 9999. */
export const time = () => pipe(number(), integer(), minValue(0), maxValue(253_402_300_799_999));
export const count = () => pipe(number(), safeInteger(), minValue(0));
/** A plan written up to commit cd933d0 has no `verify`. It gets the default of the -verify flag. */
export const plan = () =>
	pipe(
		object({
			start: number(),
			ready: picklist(['wait', 'accept', 'notify']),
			verify: optional(picklist(['accept', 'hold', 'none'])),
			kill: number(),
			drain: string(),
			stop: nullable(string()),
			respawn: number(),
			maxDraining: optional(count(), 0),
			bake: optional(count(), 0),
			check: optional(string(), ''),
			size: pipe(number(), integer(), minValue(1), maxValue(4096)),
		}),
		transform((plan) => ({ ...plan, verify: plan.verify ?? usualVerify(plan.start) })),
	);

export const requestSchema = (): GenericSchema<unknown, Request> =>
	union([
		shape<Extract<Request, { type: 'stop.requested' }>>({ type: literal('stop.requested'), kill: optional(number()) }),
		object({ type: picklist(bareRequests) }),
	]);

const childFields = (): Fields<ChildState> => ({
	child: number(),
	generation: number(),
	index: count(),
	pid: nullable(number()),
	startTime: nullable(number()),
	pipe: nullable(number()),
	phase: picklist(phases),
	since: number(),
	clock: nullable(number()),
	spawnedClock: optional(nullable(number()), null),
	deadline: nullable(number()),
	readyBy: nullable(word()),
	readyClock: optional(nullable(number()), null),
	isSeen: optional(nullable(boolean()), null),
	program: optional(nullable(string()), null),
	directory: optional(nullable(string()), null),
	unseen: optional(nullable(string()), null),
	isRejected: boolean(),
	isDismissed: optional(boolean(), false),
	rejection: optional(nullable(object({ reason: string(), code: code() })), null),
	wasForwarded: boolean(),
	forwards: optional(array(string()), []),
	stopSignal: optional(nullable(object({ signal: string(), reason: signalReason() })), null),
	attempt: count(),
	wasUp: boolean(),
	kill: optional(nullable(number()), null),
	watchdog: optional(nullable(number()), null),
	hungClock: optional(nullable(number()), null),
	survivors: optional(array(count()), []),
});

const healthCheck = () =>
	object({
		millis: number(),
		at: number(),
		clock: nullable(number()),
		upAt: nullable(number()),
		problem: nullable(string()),
	});

export const stateSchema = () =>
	shape<SupervisorState>({
		plan: plan(),
		serving: number(),
		isComplete: boolean(),
		servingUpAt: optional(nullable(number()), null),
		candidate: nullable(number()),
		lastGeneration: number(),
		lastSize: number(),
		lastChild: number(),
		trigger: asker(),
		queued: nullable(asker()),
		unanswered: nullable(picklist(keptRequests)),
		ended: optional(
			nullable(
				shape<Ended>({ ...childFields(), endedBy: number(), endedAt: number(), endedClock: nullable(number()) }),
			),
			null,
		),
		bake: optional(
			nullable(object({ millis: number(), at: number(), clock: nullable(number()), upAt: nullable(number()) })),
			null,
		),
		checks: optional(object({ candidate: nullable(healthCheck()), serving: nullable(healthCheck()) }), noChecks),
		restart: optional(nullable(object({ millis: number(), at: number(), clock: nullable(number()) })), null),
		restarts: optional(count(), 0),
		isQuitting: optional(boolean(), false),
		stopSignal: nullable(string()),
		status: number(),
		children: pipe(
			array(shape<ChildState>(childFields())),
			check((children) => new Set(children.map(({ child }) => child)).size === children.length),
		),
		respawns: array(
			shape<Respawn>({
				generation: number(),
				index: count(),
				attempt: count(),
				wasUp: boolean(),
				millis: number(),
				at: number(),
				clock: nullable(number()),
				isDue: boolean(),
			}),
		),
	});

/** A surviving process, and its fds of listeners. */
export const holderSchema = () => object({ pid: count(), fds: array(count()) });

export const rotationSchema = () =>
	shape<Rotation>({
		generation: count(),
		result: picklist(['pending', 'promoted', 'failed', 'stopped']),
		trigger: asker(),
		requestedAt: nullable(time()),
		spawnedAt: nullable(time()),
		finishedAt: nullable(time()),
		pids: array(count()),
		readyBy: nullable(word()),
		unverified: boolean(),
		replaced: array(count()),
		survivors: optional(array(object({ ...holderSchema().entries, generation: count() })), []),
		reason: nullable(string()),
		code: optional(nullable(code()), null),
		check: optional(nullable(string()), null),
		program: optional(nullable(string()), null),
		directory: optional(nullable(string()), null),
		exits: array(object({ pid: count(), code: nullable(number()), signal: nullable(string()) })),
		lastOutput: array(string()),
		supersededBy: nullable(count()),
	});

export const rotationsSchema = () => shape<Rotations>({ kept: array(rotationSchema()), requestedAt: nullable(time()) });

export const countersSchema = () =>
	shape<Counters>({
		rotations: object({ promoted: count(), failed: count(), stopped: count() }),
		unverified: optional(count(), 0),
		ready: object({ counts: array(count()), count: count(), seconds: number() }),
		checks: optional(object({ passed: count(), failed: count(), seconds: number() }), {
			passed: 0,
			failed: 0,
			seconds: 0,
		}),
		hung: optional(count(), 0),
		respawns: count(),
		isUpgrading: boolean(),
		upgrades: count(),
		upgradesFailed: count(),
		upgradeFailure: nullable(string()),
		recoveries: count(),
	});
