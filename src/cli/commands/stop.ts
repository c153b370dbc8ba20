/** `socketmaster stop`: requests a stop of the supervisor, or of one generation, and waits for its end. */
import { askStatus, askStatusUntilAnswered } from '../../effects/control/answers.ts';
import { askUntilAnswered, NoAnswer, open } from '../../effects/control/client.ts';
import type { Status } from '../../effects/control/statusReport.ts';
import { screen } from '../../effects/terminal/screen.ts';
import { duration } from '../../machines/text/duration.ts';
import { CommandError, clientCommand, controlOf, errorOf, exits, millisOf } from '../clientCommand.ts';

interface Given {
	control?: unknown;
	kill?: unknown;
	generation?: unknown;
}

/** Interval at which the line with the remaining children is updated, in milliseconds. */
const beat = 500;

export const runStop = clientCommand(stop);

async function stop({ control, kill, generation }: Given): Promise<number> {
	const killMs = millisOf('kill', kill, 0);
	const only = numberOf(generation);
	const path = await controlOf(control);
	const { pid, run } = await askStatusUntilAnswered(path, { isFirst: true });
	const body = { ...(killMs === null ? {} : { kill: killMs }), ...(only === null ? {} : { generation: only }) };
	const answer = await askUntilAnswered(path, '/stop', { method: 'POST', body, isLast: true });
	if (answer.status !== 202) throw new CommandError(`no stop: ${errorOf(answer.body)}`, exits.failed);
	await (only === null
		? shown(path, `Supervisor ${pid}`, null, () => ended(path, run))
		: shown(path, `Generation ${only}`, only, () => left(path, run, only)));
	return exits.done;
}

/** The number of a generation; null if the flag is not given. @throws {CommandError} */
function numberOf(value: unknown): number | null {
	if (value === undefined) return null;
	if (/^\d{1,15}$/.test(String(value))) return Number(value);
	throw new CommandError(`invalid value "${value}" for flag -generation: a number is wanted`, exits.usage);
}

/**
 * Says that something stops, shows on a terminal the children that are left, and says when it has ended.
 * @param generation null for all generations
 */
async function shown(path: string, name: string, generation: number | null, work: () => Promise<void>) {
	const out = screen();
	out.print(`${name} stops`);
	const began = performance.now();
	const over = new AbortController();
	const timer = out.isTerminal
		? setInterval(() => {
				askStatus(path, { signal: over.signal }).then(
					(status) => out.live(leftText(status, generation, performance.now() - began)),
					() => {},
				);
			}, beat)
		: null;
	try {
		await work();
	} finally {
		if (timer) clearInterval(timer);
		over.abort();
		out.clear();
	}
	out.print(`${name} has ended after ${duration(performance.now() - began)}`);
}

/** Waits until the last child of a generation has exited: each fact may be its end. @throws {CommandError} */
async function left(path: string, run: string, generation: number): Promise<void> {
	for (;;) {
		const stream = await open(path, '/facts').catch((error) => {
			if (error instanceof NoAnswer) return null;
			throw error;
		});
		const isOver = async () => {
			const now = await askStatusUntilAnswered(path, {});
			return now.run !== run || now.generations.every((each) => each.generation !== generation);
		};
		try {
			if (await isOver()) return;
			if (stream) for await (const _ of stream) if (await isOver()) return;
		} catch (error) {
			if (error instanceof NoAnswer)
				throw new CommandError(
					`${error.message}; whether generation ${generation} has ended is not known`,
					exits.nobody,
				);
			// The connection breaks in an upgrade, and when the supervisor ends: the next request tells which.
		} finally {
			stream?.destroy();
		}
		await new Promise((resolve) => setTimeout(resolve, beat / 5));
	}
}

/**
 * Waits until the supervisor has exited: a connection closes, and after that its socket file is missing or another
 * supervisor responds.
 * @throws {CommandError}
 */
async function ended(path: string, run: string): Promise<void> {
	for (;;) {
		// If the server closes each connection at once, the pause limits the rate of requests.
		const pause = new Promise((resolve) => setTimeout(resolve, beat / 5));
		try {
			const stream = await open(path, '/facts');
			stream.resume();
			await new Promise((resolve) => stream.once('close', resolve).once('error', () => {}));
		} catch (error) {
			if (!(error instanceof NoAnswer)) throw error;
			if (error.isGone) return;
		}
		try {
			const now = await askStatusUntilAnswered(path, { isLast: true });
			if (now.run !== run) return;
			if (now.state !== 'stopping' && now.state !== 'stopped') {
				throw new CommandError(
					`it was killed meanwhile, and started again as ${now.pid}: it does not stop`,
					exits.failed,
				);
			}
			await pause;
		} catch (error) {
			if (error instanceof NoAnswer) return;
			throw error;
		}
	}
}

function leftText({ generations }: Status, generation: number | null, millis: number): string {
	const own = generations.filter((each) => generation === null || each.generation === generation);
	const pids = own.flatMap(({ children }) => children.flatMap(({ pid }) => pid ?? []));
	return `waiting for ${pids.join(', ') || 'nobody'}, ${duration(millis)}`;
}
