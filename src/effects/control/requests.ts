/** The request handlers of the control socket. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExternalEvent, Fact, Request } from '../../machines/facts/facts.ts';
import { whyNotStopped } from '../../machines/state/whyNotStopped.ts';
import type { StillAccepting } from '../children/stillAccepting.ts';
import type { LogCounts } from '../log/sink.ts';
import { errorText } from '../os/errorText.ts';
import { ChildrenLook } from './childrenLook.ts';
import { factStream } from './factStream.ts';
import { HeldResponses } from './heldResponses.ts';
import { rotationOf, shown } from './keptRotations.ts';
import { metricsText } from './metrics.ts';
import { refuse, say, send } from './reply.ts';
import { readBody } from './requestBody.ts';
import { type Subject, statusOf } from './statusReport.ts';

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

export interface Requests {
	/** @param text the complete body */
	answer: (request: IncomingMessage, response: ServerResponse, text: string) => void;
	/** Call when the response is sent or its client has disconnected. */
	forget: (response: ServerResponse) => void;
	note: (fact: Fact) => void;
}

/** A handler. It sends the response itself, at once or later. */
type Act = (request: IncomingMessage, response: ServerResponse, body: Record<string, unknown>, path: string) => void;

export function requestsOf(options: RequestsOptions): Requests {
	return new RequestHandlers(options);
}

class RequestHandlers implements Requests {
	readonly #options: RequestsOptions;
	readonly #held: HeldResponses;
	readonly #facts: ReturnType<typeof factStream>;
	readonly #children: ChildrenLook;
	readonly #routes: Record<string, Record<string, Act>>;

	constructor(options: RequestsOptions) {
		const { run, seq, past, recent } = options;
		this.#options = options;
		this.#held = new HeldResponses(past);
		this.#facts = factStream({ run, seq, state: () => past().state, recent });
		this.#children = new ChildrenLook(options);
		this.#routes = {
			'/status': { GET: (request, response) => orRefuse(response, this.#sendStatus(request, response)) },
			'/metrics': { GET: (_, response) => orRefuse(response, this.#sendMetrics(response)) },
			'/facts': { GET: this.#facts.serve },
			'/rotations': { GET: (_, response) => say(response, 200, past().rotations.kept.map(shown)) },
			'/rotations/': { GET: (request, response, _, path) => this.#sendRotation(request, response, path) },
			'/rotate': { POST: (_, response) => this.#rotate(response) },
			'/stop': { POST: (_, response, body) => this.#stop(response, body) },
			'/upgrade': { POST: (_, response) => this.#upgrade(response) },
		};
	}

	readonly answer = (request: IncomingMessage, response: ServerResponse, text: string) => {
		const [path = '/'] = (request.url ?? '/').split('?');
		const methods = this.#routes[path] ?? (path.startsWith('/rotations/') ? this.#routes['/rotations/'] : undefined);
		if (!methods) return refuse(response, 404, `there is no ${path}`);
		const act = methods[request.method ?? ''];
		if (!act) {
			const [wanted = ''] = Object.keys(methods);
			response.setHeader('Allow', wanted);
			return refuse(response, 405, `${path} takes ${wanted}, and not ${request.method}`);
		}
		const body = readBody(path, text);
		if (typeof body === 'string') return refuse(response, 400, body);
		// Refuse commands here: the program that would carry them out is about to be replaced.
		if (request.method === 'POST' && this.#options.isFaulty())
			return refuse(response, 503, 'the supervisor replaces itself');
		try {
			act(request, response, body, path);
		} catch (error) {
			refuse(response, 500, errorText(error));
			// An error in the statecharts goes to the crash handler. An error in a read-only request affects only its
			// client.
			if (request.method === 'POST') throw error;
		}
	};

	readonly forget = (response: ServerResponse): void => this.#held.forget(response);

	readonly note = (fact: Fact): void => {
		this.#facts.note(fact);
		this.#held.note(fact);
	};

	async #sendStatus({ url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
		const isBrief = new URLSearchParams(url.split('?')[1]).has('brief');
		say(response, 200, statusOf(this.#options, isBrief ? null : await this.#children.look()));
	}

	async #sendMetrics(response: ServerResponse): Promise<void> {
		const { past, logCounts } = this.#options;
		const status = statusOf(this.#options, await this.#children.look());
		const text = metricsText({ status, counters: past().counters, log: logCounts() });
		send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', text);
	}

	#sendRotation({ url = '' }: IncomingMessage, response: ServerResponse, path: string) {
		const name = path.slice('/rotations/'.length);
		const generation = /^\d{1,15}$/.test(name) ? Number(name) : Number.NaN;
		const rotation = rotationOf(this.#options.past().rotations, generation);
		if (!rotation) return refuse(response, 404, `generation ${name} is not known`);
		const isAwaited = new URLSearchParams(url.split('?')[1]).has('wait');
		if (isAwaited && rotation.result === 'pending') this.#held.holdForRotation(response, generation);
		else say(response, 200, shown(rotation));
	}

	/** `admit` returns after the statecharts have decided, so the generation's number is known. */
	#rotate(response: ServerResponse): void {
		if (!this.#isDecided({ type: 'rotate.requested' }, response)) return;
		const { queued = null, lastGeneration = 0, stopSignal = null } = this.#options.past().state ?? {};
		if (stopSignal !== null) refuse(response, 409, 'already stopping');
		else say(response, 202, { generation: queued === null ? lastGeneration : lastGeneration + 1 });
	}

	#stop(response: ServerResponse, { kill, generation }: Record<string, unknown>): void {
		const limit = typeof kill === 'number' ? { kill } : {};
		if (typeof generation === 'number') {
			const refusal = whyNotStopped(this.#options.past().state, generation);
			// It has left already, which is what was asked for.
			if (refusal === 'gone') {
				say(response, 202, {});
				return;
			}
			if (!this.#isDecided({ type: 'generation.stopRequested', generation, ...limit }, response)) return;
			if (refusal === null) say(response, 202, {});
			else refuse(response, 409, refusal);
			return;
		}
		const request: Request = { type: 'stop.requested', ...limit };
		if (this.#isDecided(request, response)) say(response, 202, {});
	}

	#upgrade(response: ServerResponse): void {
		this.#held.holdForUpgrade(response);
		this.#isDecided({ type: 'upgrade.requested' }, response);
	}

	/**
	 * Admits a request. If the statecharts fail on it, there is no decision and the request is not repeated.
	 * @returns whether there is a decision
	 */
	#isDecided(request: Request, response: ServerResponse): boolean {
		this.#options.admit(request);
		if (!this.#options.isFaulty()) return true;
		refuse(response, 500, 'the supervisor has failed on it, and replaces itself');
		return false;
	}
}

function orRefuse(response: ServerResponse, work: Promise<void>): void {
	work.catch((error) => refuse(response, 500, errorText(error)));
}
