/** The client of the control socket. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

/** Limit for an immediate response, in milliseconds. */
const usualLimit = 10_000;

/** Limit for the length of a response, in bytes. The status of 4,096 workers is shorter. */
const longestAnswer = 64 << 20;

/**
 * Retry limit for a supervisor that has not responded before and whose socket file exists: it may be restarting. In
 * milliseconds.
 */
const firstTimeoutMs = 3000;

/** The same where there is no socket file: a supervisor that starts replaces a stale file. In milliseconds. */
const missingTimeoutMs = 250;

/** Retry interval, and retry limit for a supervisor that does not respond, in milliseconds. */
const [pause, answerTimeoutMs] = [100, 30_000];

/**
 * Retry limit after the socket file was removed, in milliseconds. The supervisor has ended regularly, so a restart is
 * less likely.
 */
const shortTimeoutMs = 5000;

/** No supervisor responds. The message is a sentence. */
export class NoAnswer extends Error {
	/** The errno name, such as `ENOENT`; empty if no system call failed. */
	get code(): string {
		return (this.cause as NodeJS.ErrnoException | undefined)?.code ?? '';
	}
	/** The socket file is missing. A supervisor removes the file when it ends; a killed supervisor leaves it. */
	get isGone(): boolean {
		return this.code === 'ENOENT';
	}
}

/** The supervisor accepted the first request and ended before its response. */
export class Ended extends NoAnswer {}

export interface Answer {
	status: number;
	/** Parsed JSON, or the text if it is not JSON. */
	body: unknown;
}

export interface AskOptions {
	method?: 'GET' | 'POST';
	body?: object;
	signal?: AbortSignal | undefined;
	/** Limit for the response, in milliseconds; null is no limit. */
	limit?: number | null;
}

/** Sends one request. @throws {NoAnswer} if there is no complete response; the signal's reason */
export async function ask(path: string, url: string, options: AskOptions = {}): Promise<Answer> {
	const { method = 'GET', body, signal, limit = usualLimit } = options;
	const late = limit === null ? [] : [AbortSignal.timeout(limit)];
	const over = AbortSignal.any([...(signal ? [signal] : []), ...late]);
	try {
		const response = await open(path, url, { method, ...(body && { body }), signal: over });
		const chunks: Buffer[] = [];
		let length = 0;
		for await (const chunk of response) {
			length += chunk.length;
			if (length > longestAnswer) throw new Error('its answer has no end');
			chunks.push(chunk);
		}
		return { status: response.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString('utf8')) };
	} catch (error) {
		signal?.throwIfAborted();
		if (error instanceof NoAnswer) throw error;
		const why = over.aborted ? `it has not answered for ${(limit ?? 0) / 1000} s` : connectErrorText(error);
		throw new NoAnswer(`no supervisor answers at ${path}: ${why}`, { cause: error });
	}
}

/** Sends a request and resolves with the response stream. @throws {NoAnswer} */
export function open(path: string, url: string, asked: AskOptions & { headers?: Record<string, string> } = {}) {
	const { method = 'GET', body, signal, headers } = asked;
	const text = body === undefined ? '' : JSON.stringify(body);
	// Without a name of its own for TLS, which is not used, Node compiles its pattern of IPv6 addresses to find one: 7 ms.
	return new Promise<IncomingMessage>((resolve, reject) => {
		const options: RequestOptions & { servername: string } = {
			socketPath: path,
			servername: '',
			path: url,
			method,
			agent: false,
			...(signal && { signal }),
			...(headers && { headers }),
		};
		const request = httpRequest(options, resolve);
		request.on('upgrade', (_, socket) => {
			socket.destroy();
			reject(new NoAnswer(`no supervisor answers at ${path}: what answers there is none`));
		});
		request.on('error', (error) => {
			if (signal?.aborted) reject(signal.reason);
			else reject(new NoAnswer(`no supervisor answers at ${path}: ${connectErrorText(error)}`, { cause: error }));
		});
		request.end(text);
	});
}

export interface Lost {
	/**
	 * Called before a request is repeated, as only its response may be lost. Resolves with the lost response, or
	 * null.
	 * @throws {NoAnswer}
	 */
	answerOf?: () => Promise<Answer | null>;
	/** The supervisor is about to end. If its socket file is missing, no response will come. */
	isLast?: boolean;
	/** The supervisor has not responded before, so there may be no supervisor. */
	isFirst?: boolean;
}

/**
 * Repeats a request until a response arrives. The supervisor may be about to be replaced or restarted.
 * @throws {NoAnswer} if the retry limit is over: 30 s, or less according to `Lost` and the error; the signal's reason
 */
export async function askUntilAnswered(path: string, url: string, options: AskOptions & Lost = {}): Promise<Answer> {
	const { signal, answerOf } = options;
	let since: number | null = null;
	let wasThere = false;
	for (;;) {
		try {
			const answer = (since !== null && (await answerOf?.())) || (await ask(path, url, options));
			if (answer.status === 503) throw new NoAnswer(`no supervisor answers at ${path}: it replaces itself`);
			return answer;
		} catch (error) {
			if (!(error instanceof NoAnswer) || (options.isLast && error.isGone)) throw error;
			// The supervisor accepted a connection before, and its socket file is missing now: it has ended.
			if (error.isGone && wasThere && options.isFirst) throw new Ended(error.message, { cause: error.cause });
			wasThere ||= !['ENOENT', 'ECONNREFUSED'].includes(error.code);
			// A request that waits for a result can take long. The retry limit counts from the first failure.
			since ??= performance.now();
			const longest = options.isFirst ? firstTimeoutFor(error.code) : error.isGone ? shortTimeoutMs : answerTimeoutMs;
			if (performance.now() - since >= longest) throw error;
			await wait(pause, null, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
		}
	}
}

function firstTimeoutFor(code: string): number {
	if (code === 'ENOENT') return missingTimeoutMs;
	return ['ECONNREFUSED', 'ECONNRESET'].includes(code) ? firstTimeoutMs : 0;
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}

const errnoTexts: Record<string, string> = {
	ENOENT: 'there is no such socket',
	ECONNREFUSED: 'nobody listens there',
	EACCES: 'permission denied',
	ENAMETOOLONG: 'the path is too long',
	ELOOP: 'its links lead nowhere',
	ECONNRESET: 'it has closed the connection',
	EPIPE: 'it has closed the connection',
};

function connectErrorText(error: unknown): string {
	const { code = '', message } = error as NodeJS.ErrnoException;
	return errnoTexts[code] ?? message;
}
