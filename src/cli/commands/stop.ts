/** `socketmaster stop`: requests a stop, and waits until the supervisor has exited. */
import { askStatus, askStatusUntilAnswered } from '../../effects/control/answers.ts';
import { askUntilAnswered, NoAnswer, open } from '../../effects/control/client.ts';
import type { Status } from '../../effects/control/statusReport.ts';
import { screen } from '../../effects/terminal/screen.ts';
import { duration } from '../../machines/text/duration.ts';
import { CommandError, clientCommand, controlOf, errorOf, exits, millisOf } from '../clientCommand.ts';

interface Given {
	control?: unknown;
	kill?: unknown;
}

/** Interval at which the line with the remaining children is updated, in milliseconds. */
const beat = 500;

export const runStop = clientCommand(stop);

async function stop({ control, kill }: Given): Promise<number> {
	const killMs = millisOf('kill', kill, 0);
	const path = await controlOf(control);
	const out = screen();
	const { pid, run } = await askStatusUntilAnswered(path, { isFirst: true });
	const body = killMs === null ? {} : { kill: killMs };
	const answer = await askUntilAnswered(path, '/stop', { method: 'POST', body, isLast: true });
	if (answer.status !== 202) throw new CommandError(`no stop: ${errorOf(answer.body)}`, exits.failed);
	out.print(`Supervisor ${pid} stops`);
	const began = performance.now();
	const over = new AbortController();
	const timer = out.isTerminal
		? setInterval(() => {
				askStatus(path, { signal: over.signal }).then(
					(status) => out.live(leftText(status, performance.now() - began)),
					() => {},
				);
			}, beat)
		: null;
	try {
		await ended(path, run);
	} finally {
		if (timer) clearInterval(timer);
		over.abort();
		out.clear();
	}
	out.print(`Supervisor ${pid} has ended after ${duration(performance.now() - began)}`);
	return exits.done;
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

function leftText({ generations }: Status, millis: number): string {
	const pids = generations.flatMap(({ children }) => children.flatMap(({ pid }) => pid ?? []));
	return `waiting for ${pids.join(', ') || 'nobody'}, ${duration(millis)}`;
}
