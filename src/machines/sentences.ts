/** What the log says of a fact: a projection of facts, and of what was known before each. */
import type { Fact, Request } from './facts.ts';
import { patienceWith } from './patience.ts';
import { isLeaving, type Roster, type RosterChild } from './roster.ts';

export interface Sentence {
	level: 'info' | 'warn' | 'error';
	text: string;
}

/**
 * The sentence for a fact, or null where there is nothing to say.
 * @param before what all earlier facts amount to
 * @param command the child's program and its arguments; null where they are not known
 */
export function sentenceOf(fact: Fact, before: Roster | null, command: string | null): Sentence | null {
	const everybody = () => pids(before?.children ?? []);
	switch (fact.type) {
		case 'generation.started':
			if (fact.asked === 'start' && !before?.queued) {
				return fact.generation === 1 ? null : info(`Starting generation ${fact.generation}`);
			}
			return info(
				before?.queued
					? `Starting generation ${fact.generation}, asked for in the meantime`
					: `${askers[fact.asked]}: starting generation ${fact.generation}`,
			);
		case 'rotation.queued': {
			const follows = before?.queued ? 'one more rotation will follow already' : 'one more rotation will follow';
			return info(`${askers[fact.asked]}: generation ${fact.behind} is still starting; ${follows}`);
		}
		case 'generation.promoted': {
			const { generation, replaced } = fact;
			const children = before?.children ?? [];
			const up = children.filter((child) => child.generation === generation);
			const old = children.filter((child) => replaced.includes(child.generation) && !isLeaving(child));
			const farewell = old.length > 0 ? `; sending SIG${before?.plan.drain} to ${pids(old)}` : '';
			return info(`Generation ${generation} is up (${pids(up)})${farewell}`);
		}
		case 'generation.givenUp': {
			// The supervisor ends with its last child, whose end is told.
			if (before && before.children.length + before.respawns.length === 0) return null;
			const rest = fact.serving === null ? 'no generation serves' : `generation ${fact.serving} goes on serving`;
			return error(`Generation ${fact.generation} given up: ${fact.reason}; ${rest}`);
		}
		case 'generation.kept': {
			const own = before?.children.filter(({ generation }) => generation === fact.generation) ?? [];
			const goesOn = (before?.plan.respawn ?? -1) >= 0 || own.some((child) => !isLeaving(child) && !child.isRejected);
			const rest = goesOn ? 'it goes on, as no other one serves' : 'no generation serves';
			return warning(`Generation ${fact.generation} is not whole: ${fact.reason}; ${rest}`);
		}
		case 'generation.exhausted':
			return error(
				`Generation ${fact.generation} given up: ${fact.deaths} of its children have died, and none was ever up`,
			);
		case 'respawn.scheduled':
			return warning(`A child of generation ${fact.generation} will be started again in ${fact.millis} ms`);
		case 'deadline.moved': {
			const child = before?.children.find((each) => each.child === fact.child);
			return info(`${child?.pid} asks for more time to come up`);
		}
		case 'child.rejected':
			return error(`${fact.reason}; sending SIG${before?.plan.drain}`);
		case 'child.proved': {
			if (fact.isSeen) return null;
			const child = before?.children.find((each) => each.child === fact.child);
			return warning(`Whether ${child?.pid} holds its sockets can’t be seen: its files in /proc are closed to us`);
		}
		case 'child.unproved': {
			const child = before?.children.find((each) => each.child === fact.child);
			return warning(`${child?.pid} does not hold ${fact.missing.join(', ')}`);
		}
		case 'service.lost':
			return error(`No generation serves any more; waiting for ${everybody()} to leave`);
		case 'stop.undone':
			return info(`A start ends the stop that an earlier supervisor had begun; ${everybody()} will leave`);
		case 'child.stopped':
			return warning(`${fact.pid} is stopped, so it is not up; its wait begins again`);
		case 'child.abandoned':
			return null;
		case 'stop.begun':
			return info(`${requests[fact.request]}: stopping; sending SIG${fact.signal} to ${everybody()}`);
		case 'signal.forwarded':
			return info(`SIG${fact.signal}: passed on to ${everybody()}`);
		case 'request.refused':
			return warning(
				fact.reason === 'stopping'
					? `${requests[fact.request]} refused: already stopping`
					: 'Upgrade refused: one is under way already',
			);
		case 'child.spawning':
			return command === null ? null : info(`Starting ${command}`);
		case 'child.spawnFailed':
			return error(`Could not start process ${fact.reason}`);
		case 'child.signalled': {
			if (fact.reason !== 'kill') return null;
			const told = before?.children.find(({ child }) => child === fact.child);
			const patience = before && patienceWith(before.plan, told?.isRejected ?? false);
			return warning(`${told?.pid} is still alive ${patience} ms after it was told to leave; killing it`);
		}
		case 'child.exited':
			return info(`${fact.pid} ${howItEnded(fact)}${whoIsLeft(fact.left)}`);
		case 'upgrade.begun':
			return info('Upgrade: checking the new program');
		case 'upgrade.refused':
			return error(`Upgrade refused: ${fact.reason}; nothing has changed`);
		case 'upgrade.failed':
			return error(`Upgrade failed: ${fact.reason}; nothing has changed`);
		default:
			return null;
	}
}

/** The way a process ended: `exit status 3`, `signal: killed`. */
export function howItEnded({ code, signal }: { code: number | null; signal: string | null }): string {
	if (signal !== null) return `signal: ${signal}`;
	return code === null ? 'exit status unknown' : `exit status ${code}`;
}

function whoIsLeft(left: number[]): string {
	if (left.length === 0) return '';
	return left.length === 1
		? `; process ${left[0]} of its group lives on`
		: `; processes ${left.join(', ')} of its group live on`;
}

const askers = { start: 'Start', SIGHUP: 'SIGHUP', rotate: 'A rotation request' };

const requests: Record<Request['type'], string> = {
	'signal.HUP': 'SIGHUP',
	'signal.TERM': 'SIGTERM',
	'signal.INT': 'SIGINT',
	'signal.QUIT': 'SIGQUIT',
	'signal.USR1': 'SIGUSR1',
	'signal.USR2': 'SIGUSR2',
	'rotate.requested': 'A rotation request',
	'stop.requested': 'A stop request',
	'upgrade.requested': 'An upgrade request',
};

const info = (text: string): Sentence => ({ level: 'info', text });
const warning = (text: string): Sentence => ({ level: 'warn', text });
const error = (text: string): Sentence => ({ level: 'error', text });

function pids(children: RosterChild[]): string {
	return children.map(({ pid }) => pid ?? 'a child still being spawned').join(', ') || 'nobody';
}
