/** The request handlers of the control socket. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { minValue, number, optional, pipe, safeInteger, safeParse, strictObject } from 'valibot';
import type { ExternalEvent, Fact, Request } from '../../machines/facts/facts.ts';
import type { Rotation } from '../../machines/state/rotations.ts';
import type { StillAccepting } from '../children/stillAccepting.ts';
import type { LogCounts } from '../log/sink.ts';
import { errorText } from '../os/errorText.ts';
import { factStream } from './factStream.ts';
import { connectionsOf } from './heldConnections.ts';
import { metricsText } from './metrics.ts';
import { refuse, say, send } from './reply.ts';
import { type Looked, type Subject, statusOf } from './statusReport.ts';

export interface RequestsOptions extends Subject {
	admit: (external: ExternalEvent) => void;
	accepting: StillAccepting;
	/** The lines and bytes written to the log so far. */
	logCounts: () => LogCounts;
	/** The last facts recorded before the server was created. */
	recent: Fact[];
	/** An internal error has occurred, and the supervisor is about to replace itself. */
	isFaulty: () => boolean;
}

/** Limit for the children examined for `accepting` in one status. For further children the value is null. */
const mostLooked = 200;

const stopSchema = () => strictObject({ kill: optional(pipe(number(), safeInteger(), minValue(0))) });
const nothingSchema = () => strictObject({});

/** A handler. It sends the response itself, at once or later. */
type Act = (request: IncomingMessage, response: ServerResponse, body: Record<string, unknown>, path: string) => void;

export function requestsOf(options: RequestsOptions) {
	const { admit, past } = options;
	const waiting = new Map<ServerResponse, number>();
	const upgrading = new Set<ServerResponse>();
	const facts = factStream({ run: options.run, seq: options.seq, state: () => past().state, recent: options.recent });
	let looking: Promise<Looked> | null = null;

	const routes: Record<string, Record<string, Act>> = {
		'/status': { GET: (request, response) => orRefuse(response, sendStatus(request, response)) },
		'/metrics': { GET: (_, response) => orRefuse(response, sendMetrics(response)) },
		'/facts': { GET: facts.serve },
		'/rotations': { GET: (_, response) => say(response, 200, past().rotations.kept.map(shown)) },
		'/rotations/': { GET: sendRotation },
		'/rotate': { POST: rotate },
		'/stop': { POST: stop },
		'/upgrade': { POST: upgrade },
	};

	/** @param text the complete body */
	function answer(request: IncomingMessage, response: ServerResponse, text: string) {
		const [path = '/'] = (request.url ?? '/').split('?');
		const methods = routes[path] ?? (path.startsWith('/rotations/') ? routes['/rotations/'] : undefined);
		if (!methods) return refuse(response, 404, `there is no ${path}`);
		const act = methods[request.method ?? ''];
		if (!act) {
			const [wanted = ''] = Object.keys(methods);
			response.setHeader('Allow', wanted);
			return refuse(response, 405, `${path} takes ${wanted}, and not ${request.method}`);
		}
		const body = readBody(text, path === '/stop' ? stopSchema() : nothingSchema());
		if (typeof body === 'string') return refuse(response, 400, body);
		// Refuse commands here: the program that would carry them out is about to be replaced.
		if (request.method === 'POST' && options.isFaulty()) return refuse(response, 503, 'the supervisor replaces itself');
		try {
			act(request, response, body, path);
		} catch (error) {
			refuse(response, 500, errorText(error));
			// An error in the statecharts goes to the crash handler. An error in a read-only request affects only its
			// client.
			if (request.method === 'POST') throw error;
		}
	}

	/** Call when the response is sent or its client has disconnected. */
	function forget(response: ServerResponse) {
		waiting.delete(response);
		upgrading.delete(response);
	}

	async function sendStatus({ url = '' }: IncomingMessage, response: ServerResponse) {
		const isBrief = new URLSearchParams(url.split('?')[1]).has('brief');
		say(response, 200, statusOf(options, isBrief ? null : await look()));
	}

	async function sendMetrics(response: ServerResponse) {
		const status = statusOf(options, await look());
		const text = metricsText({ status, counters: past().counters, log: options.logCounts() });
		send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', text);
	}

	function orRefuse(response: ServerResponse, work: Promise<void>) {
		work.catch((error) => refuse(response, 500, errorText(error)));
	}

	/** Requests that arrive while the children are examined share the result. */
	function look(): Promise<Looked> {
		looking ??= lookAtChildren().finally(() => {
			looking = null;
		});
		return looking;
	}

	async function lookAtChildren(): Promise<Looked> {
		const children = past().state?.children ?? [];
		const held = await connectionsOf(
			options.listeners,
			children.flatMap(({ pid }) => pid ?? []),
		);
		// Draining children should not accept. Serving children count if the last listener check did not see them
		// accept.
		const wanted = children.flatMap(({ pid, phase, unseen }) =>
			pid !== null && (phase === 'draining' || (phase === 'serving' && unseen !== null)) ? pid : [],
		);
		return { held, accepting: await options.accepting(wanted.slice(0, mostLooked)) };
	}

	/** `admit` returns after the statecharts have decided, so the generation's number is known. */
	function rotate(_: IncomingMessage, response: ServerResponse) {
		if (!isDecided({ type: 'rotate.requested' }, response)) return;
		const { queued = null, lastGeneration = 0, stopSignal = null } = past().state ?? {};
		if (stopSignal !== null) refuse(response, 409, 'already stopping');
		else say(response, 202, { generation: queued === null ? lastGeneration : lastGeneration + 1 });
	}

	/**
	 * Admits a request. If the statecharts fail on it, there is no decision and the request is not repeated.
	 * @returns whether there is a decision
	 */
	function isDecided(request: Request, response: ServerResponse): boolean {
		admit(request);
		if (!options.isFaulty()) return true;
		refuse(response, 500, 'the supervisor has failed on it, and replaces itself');
		return false;
	}

	function sendRotation({ url = '' }: IncomingMessage, response: ServerResponse, _: unknown, path: string) {
		const name = path.slice('/rotations/'.length);
		const generation = /^\d{1,15}$/.test(name) ? Number(name) : Number.NaN;
		const rotation = rotationOf(generation);
		if (!rotation) return refuse(response, 404, `generation ${name} is not known`);
		const isAwaited = new URLSearchParams(url.split('?')[1]).has('wait');
		if (isAwaited && rotation.result === 'pending') waiting.set(response, generation);
		else say(response, 200, shown(rotation));
	}

	function stop(_: IncomingMessage, response: ServerResponse, { kill }: Record<string, unknown>) {
		const request: Request = typeof kill === 'number' ? { type: 'stop.requested', kill } : { type: 'stop.requested' };
		if (isDecided(request, response)) say(response, 202, {});
	}

	/** The response is sent when the new program has checked itself. */
	function upgrade(_: IncomingMessage, response: ServerResponse) {
		upgrading.add(response);
		isDecided({ type: 'upgrade.requested' }, response);
	}

	function note(fact: Fact) {
		facts.note(fact);
		if (upgrading.size > 0) answerUpgrades(fact);
		for (const [response, generation] of waiting) {
			const rotation = rotationOf(generation);
			if (rotation?.result === 'pending') continue;
			waiting.delete(response);
			if (rotation) say(response, 200, shown(rotation));
			else refuse(response, 404, `generation ${generation} is not known any more`);
		}
	}

	function answerUpgrades(fact: Fact) {
		const isRefused = fact.type === 'request.refused' && fact.request === 'upgrade.requested';
		const why = isRefused
			? fact.reason === 'stopping'
				? 'already stopping'
				: 'an upgrade is under way already'
			: fact.type === 'upgrade.refused'
				? fact.reason
				: null;
		if (why === null && fact.type !== 'upgrade.verified') return;
		// Of the waiting requests, the one that arrived last is refused.
		const answered = isRefused ? [...upgrading].slice(-1) : [...upgrading];
		for (const response of answered) {
			upgrading.delete(response);
			if (why === null) say(response, 202, {});
			else refuse(response, 409, why);
		}
	}

	function rotationOf(generation: number): Rotation | undefined {
		return past().rotations.kept.findLast((each) => each.generation === generation);
	}

	return { answer, forget, note };
}

/** Hides the last output of a rotation that has not failed. */
function shown(rotation: Rotation): Rotation {
	return rotation.result === 'failed' ? rotation : { ...rotation, lastOutput: [] };
}

/** @returns the body, or a sentence about its error */
function readBody(
	text: string,
	schema: ReturnType<typeof stopSchema> | ReturnType<typeof nothingSchema>,
): Record<string, unknown> | string {
	if (text.trim() === '') return {};
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		return 'the body is no JSON';
	}
	if (Array.isArray(value)) return 'the body is not what is wanted here';
	const { success, output, issues } = safeParse(schema, value);
	if (success) return output;
	const [issue] = issues;
	const name = issue.path?.[0]?.key;
	return `the body is not what is wanted here${name === undefined ? '' : `: ${String(name)}`}`;
}
