/** `socketmaster upgrade`: requests an upgrade to the program that is installed now, and waits until it is done. */
import { askStatusUntilAnswered } from '../../effects/control/answers.ts';
import { ask, NoAnswer } from '../../effects/control/client.ts';
import type { Status } from '../../effects/control/statusReport.ts';
import { harmless } from '../../effects/terminal/format.ts';
import { screen } from '../../effects/terminal/screen.ts';
import { duration } from '../../machines/text/duration.ts';
import { CommandError, clientCommand, controlOf, errorOf, exits, limitOf, millisOf } from '../clientCommand.ts';

interface Given {
	control?: unknown;
	timeout?: unknown;
}

/**
 * Limits until the new program must respond, in milliseconds: after an accepted request, and after a request whose
 * response was lost.
 */
const [takeoverTimeoutMs, lostTimeoutMs] = [60_000, 5000];

/** Interval at which the status is polled, in milliseconds. */
const beat = 50;

export const runUpgrade = clientCommand(upgrade);

async function upgrade({ control, timeout }: Given): Promise<number> {
	const limit = millisOf('timeout', timeout, 1);
	const path = await controlOf(control);
	const signal = limitOf(limit);
	const out = screen();
	const began = performance.now();
	let isKnown = false;
	try {
		const before = await askStatusUntilAnswered(path, { signal, isFirst: true });
		isKnown = true;
		out.live('The new program checks itself');
		// If the supervisor is killed during the preflight check, its service manager starts the new program. A lost
		// response is therefore no failure yet.
		const answer = await ask(path, '/upgrade', { method: 'POST', signal, limit: 60_000 }).catch((error) => {
			if (error instanceof NoAnswer) return null;
			throw error;
		});
		out.clear();
		if (answer && answer.status !== 202) {
			const rest = answer.status === 409 ? '; nothing has changed' : '';
			throw new CommandError(`no upgrade: ${errorOf(answer.body)}${rest}`, exits.failed);
		}
		// If the request caused an internal error, the supervisor has replaced itself, and drops the request.
		const now = await takenOver(path, before, answer ? takeoverTimeoutMs : lostTimeoutMs, signal);
		const versions = now.version === before.version ? now.version : `${before.version}, now ${now.version}`;
		out.print(
			now.pid === before.pid
				? `Supervisor ${now.pid} runs the installed program now (version ${versions})`
				: `Supervisor ${before.pid} ended meanwhile; supervisor ${now.pid} has taken over (version ${versions})`,
		);
		return exits.done;
	} catch (error) {
		if (!signal?.aborted) throw error;
		if (!isKnown) throw new CommandError(`no supervisor answers at ${path}: no upgrade was asked for`, exits.nobody);
		throw new CommandError(`no upgrade after ${duration(performance.now() - began)}; it is still running`, exits.late);
	}
}

const stopped = new CommandError('no upgrade: the supervisor was told to stop', exits.failed);

/** Waits at most `millis` milliseconds until the new program responds. @throws {CommandError} */
async function takenOver(
	path: string,
	before: Status,
	millis: number,
	signal: AbortSignal | undefined,
): Promise<Status> {
	for (const end = performance.now() + millis; ; ) {
		const now = await askStatusUntilAnswered(path, { signal, isLast: true }).catch((error) => {
			if (error instanceof NoAnswer && error.isGone) throw stopped;
			throw error;
		});
		if (now.state === 'stopping') throw stopped;
		if (now.run !== before.run) {
			throw new CommandError(`its supervisor has ended, and another one (pid ${now.pid}) has started`, exits.failed);
		}
		// A supervisor that was killed meanwhile was restarted as the new program too.
		if (now.upgrades.done > before.upgrades.done || now.recoveries > before.recoveries) return now;
		if (now.upgrades.failed > before.upgrades.failed) {
			throw new CommandError(`no upgrade: ${harmless(now.upgrades.failure ?? '')}; nothing has changed`, exits.failed);
		}
		if (performance.now() > end)
			throw new CommandError('no upgrade: the supervisor has lost the request', exits.failed);
		await new Promise((resolve) => setTimeout(resolve, beat));
		signal?.throwIfAborted();
	}
}
