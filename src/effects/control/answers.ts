/** Decodes and validates the responses of a control socket. Any program may listen at its path. */
import {
	array,
	boolean,
	type GenericSchema,
	nullable,
	number,
	object,
	optional,
	picklist,
	safeParse,
	string,
} from 'valibot';
import { readySources } from '../../machines/facts/facts.ts';
import { healthStates } from '../../machines/state/health.ts';
import type { Rotation } from '../../machines/state/rotations.ts';
import { phases } from '../../machines/state/supervisorState.ts';
import { rotationSchema } from '../journal/stateSchemas.ts';
import { type Answer, type AskOptions, ask, askUntilAnswered, type Lost, NoAnswer } from './client.ts';
import type { Status } from './statusReport.ts';

const childSchema = () =>
	object({
		child: number(),
		index: number(),
		pid: nullable(number()),
		phase: picklist(phases),
		since: number(),
		deadline: nullable(number()),
		readyBy: nullable(picklist(readySources)),
		status: nullable(string()),
		stopping: boolean(),
		mainPid: nullable(number()),
		watchdog: boolean(),
		hung: optional(boolean(), false),
		accepting: optional(nullable(boolean()), null),
		seen: optional(nullable(boolean()), null),
		unseen: optional(nullable(string()), null),
		survivors: optional(array(number()), []),
		connections: nullable(number()),
		peers: array(object({ address: nullable(string()), silent: nullable(number()) })),
	});

const statusSchema = (): GenericSchema<unknown, Status> =>
	object({
		pid: number(),
		version: string(),
		run: string(),
		since: number(),
		seq: number(),
		state: string(),
		queued: boolean(),
		listeners: array(
			object({
				uri: string(),
				address: string(),
				fd: number(),
				queue: nullable(number()),
				backlog: nullable(number()),
			}),
		),
		health: optional(
			object({
				state: picklist(healthStates),
				serving: number(),
				size: number(),
				reasons: optional(array(string()), []),
				text: string(),
			}),
			{
				state: 'starting',
				serving: 0,
				size: 0,
				reasons: [],
				text: '',
			},
		),
		generations: array(
			object({
				generation: number(),
				state: picklist(['starting', 'checking', 'baking', 'serving', 'draining']),
				program: optional(nullable(string()), null),
				directory: optional(nullable(string()), null),
				children: array(childSchema()),
			}),
		),
		respawns: array(object({ generation: number(), index: number(), at: number(), attempt: number() })),
		restart: optional(nullable(number()), null),
		bake: optional(nullable(number()), null),
		check: optional(
			nullable(
				object({
					generation: number(),
					target: string(),
					problem: nullable(string()),
					deadline: nullable(number()),
				}),
			),
			null,
		),
		last: nullable(rotationSchema()),
		journal: nullable(object({ path: string(), size: number(), seq: number() })),
		upgrades: object({ done: number(), failed: number(), failure: nullable(string()) }),
		recoveries: number(),
	});

/** @throws {NoAnswer} also if the response is invalid */
export async function askStatus(path: string, options: AskOptions = {}, url = '/status?brief'): Promise<Status> {
	return statusIn(path, (await ask(path, url, options)).body);
}

/** @throws {NoAnswer} */
export function statusIn(path: string, body: unknown): Status {
	return decoded(path, body, statusSchema());
}

/** Like `askStatus`, but retries until a response arrives. @throws {NoAnswer} */
export async function askStatusUntilAnswered(path: string, options: AskOptions & Lost = {}): Promise<Status> {
	return statusIn(path, (await askUntilAnswered(path, '/status?brief', options)).body);
}

/** @throws {NoAnswer} */
export function rotationIn(path: string, answer: Answer): Rotation {
	return decoded(path, answer.body, rotationSchema());
}

/** @throws {NoAnswer} */
export function rotationsIn(path: string, answer: Answer): Rotation[] {
	return decoded(path, answer.body, array(rotationSchema()));
}

/** The number of the generation that a rotation request will start. @throws {NoAnswer} */
export function generationIn(path: string, answer: Answer): number {
	return decoded(path, answer.body, object({ generation: number() })).generation;
}

function decoded<T>(path: string, body: unknown, schema: GenericSchema<unknown, T>): T {
	const { success, output } = safeParse(schema, body);
	if (!success) throw new NoAnswer(`no supervisor answers at ${path}: what answers there is none`);
	return output as T;
}
