/** The shapes of the journal's lines: as types, and as schemas for what is read back. docs/journal.md tells of them. */
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
} from 'valibot';
import type { Fact, FactType, Request } from '../../machines/facts.ts';
import type { Past } from '../../machines/past.ts';
import type { Receipt, Receipts } from '../../machines/receipts.ts';
import type { Roster } from '../../machines/roster.ts';
import type { Tally } from '../../machines/tally.ts';
import type { Listener } from '../sockets/listener.ts';
import { fileSchema } from '../sockets/madeFile.ts';

export interface Header {
	journal: number;
	program: string;
	/** /proc/sys/kernel/random/boot_id */
	boot: string;
	/** What children carry as SOCKETMASTER_RUN: the same through upgrades and recoveries. */
	run: string;
	pid: number;
	startTime: number;
	args: string[];
	listeners: Pick<Listener, 'uri' | 'address' | 'inode' | 'file'>[];
	/** The folder of the sockets that children say through that they are up; null where there is none. */
	words: string | null;
}

/** What all facts up to `seq` amount to. With `gap`, some of them are not in the file. */
export interface Checkpoint {
	checkpoint: Roster;
	receipts: Receipts;
	tally: Tally;
	seq: number;
	at: number;
	gap?: true | undefined;
}

/** What a checkpoint stands for. */
export function pastOf({ checkpoint, receipts, tally }: Checkpoint): Past {
	return { roster: checkpoint, receipts, tally };
}

export type JournalLine = Header | Checkpoint | Fact;

const signals = ['signal.HUP', 'signal.TERM', 'signal.INT', 'signal.QUIT', 'signal.USR1', 'signal.USR2'] as const;
const requests = [...signals, 'rotate.requested', 'stop.requested', 'upgrade.requested'] as const;
const word = () => picklist(['notify', 'ack', 'wait']);
const asker = () => picklist(['start', 'SIGHUP', 'rotate']);
/** In milliseconds since 1970, to the year 9999. */
const time = () => pipe(number(), integer(), minValue(0), maxValue(253_402_300_799_999));
const count = () => pipe(number(), safeInteger(), minValue(0));
const plan = () =>
	object({
		start: number(),
		ready: picklist(['wait', 'notify']),
		kill: number(),
		drain: string(),
		stop: nullable(string()),
		respawn: number(),
		size: pipe(number(), integer(), minValue(1), maxValue(4096)),
	});

/** What was asked for. */
export const requestSchema = (): GenericSchema<unknown, Request> =>
	object({
		type: picklist(requests),
		kill: optional(number()),
	}) as GenericSchema<unknown, Request>;

/** What facts amount to. */
export const rosterSchema = (): GenericSchema<unknown, Roster> =>
	object({
		plan: plan(),
		serving: number(),
		isWhole: boolean(),
		candidate: nullable(number()),
		lastGeneration: number(),
		lastSize: number(),
		lastChild: number(),
		asked: asker(),
		queued: nullable(asker()),
		unanswered: nullable(picklist(requests)),
		stopSignal: nullable(string()),
		status: number(),
		children: pipe(
			array(
				object({
					child: number(),
					generation: number(),
					index: count(),
					pid: nullable(number()),
					startTime: nullable(number()),
					pipe: nullable(number()),
					phase: picklist(['spawning', 'booting', 'proving', 'serving', 'draining', 'killing', 'lingering']),
					since: number(),
					clock: nullable(number()),
					deadline: nullable(number()),
					ready: nullable(word()),
					isRejected: boolean(),
					wasForwarded: boolean(),
					attempt: count(),
					wasUp: boolean(),
				}),
			),
			check((children) => new Set(children.map(({ child }) => child)).size === children.length),
		),
		respawns: array(
			object({
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

/** What became of a rotation. */
export const receiptSchema = (): GenericSchema<unknown, Receipt> =>
	object({
		generation: count(),
		verdict: picklist(['pending', 'serving', 'givenUp', 'stopped']),
		asked: asker(),
		askedAt: nullable(time()),
		spawnedAt: nullable(time()),
		verdictAt: nullable(time()),
		pids: array(count()),
		ready: nullable(word()),
		unproven: boolean(),
		replaced: array(count()),
		reason: nullable(string()),
		exits: array(object({ pid: count(), code: nullable(number()), signal: nullable(string()) })),
		lastWords: array(string()),
		continuedAs: nullable(count()),
	});

/** What became of the rotations. */
export const receiptsSchema = (): GenericSchema<unknown, Receipts> =>
	object({ kept: array(receiptSchema()), askedAt: nullable(time()) });

/** What was counted. */
export const tallySchema = (): GenericSchema<unknown, Tally> =>
	object({
		rotations: object({ serving: count(), givenUp: count(), stopped: count() }),
		ready: object({ counts: array(count()), count: count(), seconds: number() }),
		respawns: count(),
		isUpgrading: boolean(),
		upgrades: count(),
		upgradesFailed: count(),
		upgradeFailure: nullable(string()),
		recoveries: count(),
	});

/** Made when something is read, not at every start. */
export function newSchemas() {
	const fact = <T extends FactType, F extends Record<string, GenericSchema>>(type: T, fields: F) =>
		object({ seq: count(), at: time(), type: literal(type), ...fields });
	const roster = rosterSchema();
	const lastWords = optional(array(string()));
	const facts: Record<FactType, GenericSchema> = {
		'supervisor.started': fact('supervisor.started', { pid: number(), plan: plan() }),
		'supervisor.recovered': fact('supervisor.recovered', { pid: number(), by: picklist(['start', 'upgrade']), roster }),
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
			pipe: number(),
			clock: number(),
		}),
		'child.spawnFailed': fact('child.spawnFailed', { child: number(), reason: string(), clock: number() }),
		'child.announced': fact('child.announced', { child: number(), by: picklist(['notify', 'ack']) }),
		'child.delayed': fact('child.delayed', { child: number(), millis: number(), clock: number() }),
		'deadline.moved': fact('deadline.moved', { child: number(), deadline: number() }),
		'child.proving': fact('child.proving', { child: number(), by: word() }),
		'child.proved': fact('child.proved', { child: number(), isSeen: boolean(), clock: number() }),
		'child.unproved': fact('child.unproved', { child: number(), missing: array(string()), clock: number(), lastWords }),
		'child.rejected': fact('child.rejected', { child: number(), reason: string() }),
		'respawn.scheduled': fact('respawn.scheduled', {
			generation: number(),
			index: count(),
			attempt: count(),
			wasUp: boolean(),
			millis: number(),
			clock: number(),
		}),
		'respawn.due': fact('respawn.due', { generation: number(), index: count() }),
		'child.exited': fact('child.exited', {
			child: number(),
			pid: number(),
			code: nullable(number()),
			signal: nullable(string()),
			status: number(),
			left: array(number()),
			clock: number(),
			lastWords,
		}),
		'child.stopped': fact('child.stopped', { child: number(), pid: number(), clock: number(), lastWords }),
		'group.gone': fact('group.gone', { child: number() }),
		'timer.elapsed': fact('timer.elapsed', { child: number(), timer: picklist(['boot', 'kill']), lastWords }),
		'upgrade.verified': fact('upgrade.verified', {}),
		'upgrade.refused': fact('upgrade.refused', { reason: string() }),
		'upgrade.failed': fact('upgrade.failed', { reason: string() }),
		'generation.started': fact('generation.started', { generation: number(), asked: asker(), size: number() }),
		'generation.promoted': fact('generation.promoted', { generation: number(), replaced: array(number()) }),
		'generation.givenUp': fact('generation.givenUp', {
			generation: number(),
			serving: nullable(number()),
			reason: string(),
		}),
		'generation.kept': fact('generation.kept', { generation: number(), replaced: array(number()), reason: string() }),
		'generation.exhausted': fact('generation.exhausted', {
			generation: number(),
			deaths: count(),
			status: number(),
		}),
		'child.spawning': fact('child.spawning', { child: number(), generation: number(), index: count() }),
		'child.ready': fact('child.ready', { child: number() }),
		'child.signalled': fact('child.signalled', {
			child: number(),
			signal: string(),
			reason: picklist(['drain', 'stop', 'forward', 'kill']),
			clock: number(),
		}),
		'child.lost': fact('child.lost', { child: number(), status: number() }),
		'child.abandoned': fact('child.abandoned', { child: number() }),
		'stop.undone': fact('stop.undone', {}),
		'rotation.queued': fact('rotation.queued', { asked: asker(), behind: number() }),
		'request.refused': fact('request.refused', {
			request: picklist(requests),
			reason: picklist(['stopping', 'upgrading']),
		}),
		'signal.forwarded': fact('signal.forwarded', { signal: string() }),
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
		words: nullable(string()),
	});
	const checkpoint: GenericSchema<unknown, Checkpoint> = object({
		checkpoint: roster,
		receipts: receiptsSchema(),
		tally: tallySchema(),
		seq: count(),
		at: time(),
		gap: optional(literal(true)),
	});
	return { facts, header, checkpoint };
}
