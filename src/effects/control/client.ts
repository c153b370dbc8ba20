/** The other end of the control socket: what a supervisor is asked. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

/** How long an answer may take that is given at once, in milliseconds. */
const usualLimit = 10_000;

/** How long an answer may be that has an end, in bytes: a status of 4,096 workers is shorter. */
const longestAnswer = 64 << 20;

/** How long one that has never answered is waited for, where its socket is there: it may be about to be started again. */
const firstTimeoutMs = 3000;

/** How long until one that does not answer is asked again, and for how long it is, in milliseconds. */
const [pause, answerTimeoutMs] = [100, 30_000];

/** One that has removed its socket has ended as it should: it is given less time to be started again. */
const shortTimeoutMs = 5000;

/** Nobody answers; the message is a sentence. */
export class NoAnswer extends Error {
	/** `ENOENT`; empty where no system call has failed. */
	get code(): string {
		return (this.cause as NodeJS.ErrnoException | undefined)?.code ?? '';
	}
	/** A supervisor removes its socket when it ends; one that is killed leaves it. */
	get isGone(): boolean {
		return this.code === 'ENOENT';
	}
}

/** The same of one that was there when it was asked first. */
export class Ended extends NoAnswer {}

export interface Answer {
	status: number;
	/** As JSON, or as text where it is none. */
	body: unknown;
}

export interface AskOptions {
	method?: 'GET' | 'POST';
	body?: object;
	signal?: AbortSignal | undefined;
	/** How long an answer may take, in milliseconds; null is for ever. */
	limit?: number | null;
}

/** One request. @throws {NoAnswer} where there is no whole answer; the signal's reason */
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

/** An answer that is read as it comes. @throws {NoAnswer} */
export function open(path: string, url: string, options: AskOptions & { headers?: Record<string, string> } = {}) {
	const { method = 'GET', body, signal, headers } = options;
	const text = body === undefined ? '' : JSON.stringify(body);
	return new Promise<IncomingMessage>((resolve, reject) => {
		const request = httpRequest(
			{ socketPath: path, path: url, method, agent: false, ...(signal && { signal }), ...(headers && { headers }) },
			resolve,
		);
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
	/** Asked before a request is made again, as its answer alone may be lost: what that would have been, or null. @throws {NoAnswer} */
	answerOf?: () => Promise<Answer | null>;
	/** It is about to end: where its socket is gone nobody will answer any more. */
	isLast?: boolean;
	/** It has not answered before: then there may be none. */
	isFirst?: boolean;
}

/**
 * Asks until there is an answer, as it may be about to be replaced, or to be started again.
 * @throws {NoAnswer} when nobody has answered for half a minute; the signal's reason
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
			// It has taken the connection, and its socket is gone now: it has ended meanwhile.
			if (error.isGone && wasThere && options.isFirst) throw new Ended(error.message, { cause: error.cause });
			wasThere ||= !['ENOENT', 'ECONNREFUSED'].includes(error.code);
			// One that was waited with may have been there for long: it is counted from now.
			since ??= performance.now();
			const longest = options.isFirst ? firstTimeoutFor(error.code) : error.isGone ? shortTimeoutMs : answerTimeoutMs;
			if (performance.now() - since >= longest) throw error;
			await wait(pause, null, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
		}
	}
}

function firstTimeoutFor(code: string): number {
	return ['ECONNREFUSED', 'ECONNRESET'].includes(code) ? firstTimeoutMs : 0;
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}

const words: Record<string, string> = {
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
	return words[code] ?? message;
}
