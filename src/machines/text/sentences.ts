/** The log line of a fact, computed from the fact and the state before it. */
import type { Fact, FactOf, Request } from '../facts/facts.ts';
import { killTimeoutFor, longestKillTimeout } from '../rules/killTimeout.ts';
import { isStoppedTooLong } from '../rules/verification.ts';
import {
	type ChildState,
	candidateStepOf,
	isLeaving,
	isNoGood,
	isOfCandidate,
	isUnverified,
	killPlanOf,
	type SupervisorState,
} from '../state/supervisorState.ts';
import { whoServes } from '../state/whoServes.ts';
import { duration } from './duration.ts';

export interface Sentence {
	level: 'info' | 'warn' | 'error';
	text: string;
}

/**
 * The log line of a fact; null if the fact is not logged.
 * @param before the fold of all earlier facts
 * @param command the child's program and its arguments; null if they are unknown
 */
export function sentenceOf(fact: Fact, before: SupervisorState | null, command: string | null): Sentence | null {
	const allPids = () => pids(before?.children ?? []);
	switch (fact.type) {
		case 'generation.started':
			if (fact.trigger === 'start' && !before?.queued) {
				return fact.generation === 1 ? null : info(`Starting generation ${fact.generation}`);
			}
			return info(
				before?.queued
					? `Starting generation ${fact.generation}, asked for in the meantime`
					: `${triggers[fact.trigger]}: starting generation ${fact.generation}`,
			);
		case 'rotation.queued': {
			const follows = before?.queued ? 'one more rotation will follow already' : 'one more rotation will follow';
			const doing = stillDoing[(before && candidateStepOf(before)) ?? 'starting'];
			return info(`${triggers[fact.trigger]}: generation ${fact.behind} ${doing}; ${follows}`);
		}
		case 'check.started': {
			if (!before) return null;
			const { generation } = fact;
			const check = `-check=${before.plan.check}`;
			if (generation !== before.candidate)
				return info(`Generation ${generation} is complete as soon as it passes ${check}`);
			const own = before.children.filter((child) => child.generation === generation);
			const isServed = before.children.some((child) => child.generation === before.serving);
			const state = before.bake === null ? `is ready (${pids(own)})` : 'has baked';
			const then = isServed ? ` before generation ${before.serving} is told to leave` : '';
			return info(`Generation ${generation} ${state}: it must pass ${check}${then}`);
		}
		case 'bake.started': {
			const own = before?.children.filter(({ generation }) => generation === fact.generation) ?? [];
			const old = `generation ${before?.serving}`;
			const state = before?.checks.candidate ? `has passed -check=${before.plan.check}` : `is ready (${pids(own)})`;
			return info(
				`Generation ${fact.generation} ${state}: it bakes beside ${old} for ${duration(fact.millis)} (-bake) before ${old} is told to leave`,
			);
		}
		case 'generation.promoted': {
			const { generation, replaced } = fact;
			const children = before?.children ?? [];
			const up = children.filter((child) => child.generation === generation);
			const old = children.filter((child) => replaced.includes(child.generation) && !isLeaving(child));
			const drainText = old.length > 0 ? `; sending SIG${before?.plan.drain} to ${pids(old)}` : '';
			const unverifiedText =
				before && isUnverified(before, generation) && drainText ? ', and was not seen to accept' : '';
			const text = `Generation ${generation} is up (${pids(up)})${unverifiedText}${drainText}`;
			return unverifiedText ? warning(text) : info(text);
		}
		case 'generation.failed': {
			// The supervisor exits after its last child, and the log has the exit of that child.
			if (before && before.children.length + before.respawns.length === 0) return null;
			const isServed = fact.serving !== null && (before === null || whoServes(before) === fact.serving);
			const rest = isServed ? `generation ${fact.serving} keeps serving` : 'no generation serves';
			return error(`Generation ${fact.generation} failed: ${fact.reason}; ${rest}`);
		}
		case 'generation.degraded': {
			const own = before?.children.filter(({ generation }) => generation === fact.generation) ?? [];
			const isAlive = own.some((child) => !isLeaving(child) && !child.isRejected);
			const isFilled = (before?.plan.respawn ?? -1) >= 0;
			const rest = isAlive
				? 'it keeps serving, as no other generation serves'
				: `no generation serves${isFilled ? ', and its children are started again' : ''}`;
			return warning(`Generation ${fact.generation} is degraded: ${fact.reason}; ${rest}`);
		}
		case 'generation.exhausted':
			return error(
				`Generation ${fact.generation} failed: ${fact.deaths} of its children have died, and none was ever up`,
			);
		case 'respawn.scheduled':
			return warning(`A child of generation ${fact.generation} will be started again in ${fact.millis} ms`);
		case 'deadline.moved': {
			const child = before?.children.find((each) => each.child === fact.child);
			return info(`${child?.pid} asks for more time to come up`);
		}
		case 'child.rejected':
			return error(`${fact.reason}; sending SIG${before?.plan.drain}`);
		case 'child.verified': {
			const child = before?.children.find((each) => each.child === fact.child);
			if (!fact.isSeen) return hiddenText(fact, before, child);
			if (!fact.blocking || isOtherVerified(child, before)) return null;
			return warning(`${child?.pid} ${blockingText(fact.blocking)}`);
		}
		case 'child.unseen':
			return warning(`${fact.reason}${keepsServing(fact, before)}`);
		case 'child.hung':
			if (before?.children.find(({ child }) => child === fact.child)?.phase !== 'serving') return null;
			if (fact.attempt > 1) return warning(`${fact.pid} has not exited after SIGABRT (-watchdog); killing it`);
			return error(
				fact.isTriggered
					? `${fact.pid} has sent WATCHDOG=trigger (-watchdog); sending SIGABRT`
					: `${fact.pid} has sent no WATCHDOG=1 for ${duration(fact.millis)} (-watchdog); sending SIGABRT`,
			);
		case 'child.spawned':
			return originText(fact, before);
		case 'service.lost':
			return error(`No generation serves any more; waiting for ${allPids()} to leave`);
		case 'restart.scheduled':
			return warning(`No generation serves: a new one will be started in ${fact.millis} ms`);
		case 'stop.cancelled':
			return info(`A start ends the stop that an earlier supervisor had begun; ${allPids()} will leave`);
		case 'child.stopped':
			return warning(
				`${fact.pid} is stopped, so it is not up${before && isStoppedTooLong(before.plan, spawnedClockOf(fact, before), fact.clock ?? 0) ? '' : '; its wait begins again'}`,
			);
		case 'child.abandoned':
			return null;
		case 'stop.begun':
			return info(`${requests[fact.request]}: stopping; sending SIG${fact.signal} to ${allPids()}`);
		case 'signal.forwarded':
			return info(`SIG${fact.signal}: passed on to ${allPids()}`);
		case 'generation.stopBegun': {
			const own = before?.children.filter(({ generation }) => generation === fact.generation) ?? [];
			const kill = fact.kill !== undefined && fact.kill > 0 ? `, and SIGKILL after ${duration(fact.kill)}` : '';
			return info(`A stop request for generation ${fact.generation}: sending SIG${fact.signal} to ${pids(own)}${kill}`);
		}
		case 'request.refused':
			if (fact.reason === 'not-draining')
				return warning(
					`A stop request for generation ${fact.generation} refused: it neither drains nor starts beside another one`,
				);
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
			if (fact.reason === 'crowd') {
				const own = before?.children.find(({ child }) => child === fact.child);
				return warning(
					`More than ${before?.plan.maxDraining} generations drain (-max-draining): killing ${own?.pid} of generation ${own?.generation}`,
				);
			}
			if (fact.reason !== 'kill') return null;
			const target = before?.children.find(({ child }) => child === fact.child);
			const killTimeoutMs = before && target ? killTimeoutFor(killPlanOf(before.plan, target), isNoGood(target)) : null;
			if (target?.phase !== 'orphaned')
				return warning(`${target?.pid} is still alive ${killTimeoutMs} ms after it was told to leave; killing it`);
			const [who, it] = target.survivors.length === 1 ? ['process', 'it'] : ['processes', 'them'];
			const those = `${who} ${target.survivors.join(', ')}, left behind by ${target.pid}`;
			const isInTime = killTimeoutMs === null || (fact.clock ?? 0) - (target.clock ?? 0) < killTimeoutMs;
			return warning(
				isInTime
					? `${those}, which was killed: killing ${it} too`
					: `${those}, still there ${killTimeoutMs} ms after it had left; killing ${it}`,
			);
		}
		case 'child.exited':
			return info(`${fact.pid} ${howItEnded(fact)}${fact.hint ? ` (${fact.hint})` : ''}${survivorsText(fact, before)}`);
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

function spawnedClockOf({ child: id }: FactOf<'child.stopped'>, before: SupervisorState): number | null {
	return before.children.find(({ child }) => child === id)?.spawnedClock ?? null;
}

/**
 * The listener check is impossible. This is logged once: not if the check of another living child is impossible too.
 */
function hiddenText(
	{ child: id, reason = 'its files in /proc are closed to us' }: FactOf<'child.verified'>,
	before: SupervisorState | null,
	child: ChildState | undefined,
): Sentence | null {
	if (before?.children.some((each) => each.child !== id && each.isSeen === false)) return null;
	const rest = child?.phase === 'booting' ? 'it counts as up after -start' : 'it counts as up unverified';
	return warning(`Whether ${child?.pid} accepts can't be seen: ${reason}; ${rest}`);
}

/** Whether another child of the generation has been verified: only the first child of a generation is logged. */
function isOtherVerified(child: ChildState | undefined, before: SupervisorState | null): boolean {
	return before?.children.some((each) => each.generation === child?.generation && each.isSeen === true) ?? false;
}

/**
 * The warning, after the pid, that a server polls a blocking socket.
 * @param slots the listeners, as `tcp://:80 (its fd 3)`
 */
function blockingText(slots: string[]): string {
	return `polls ${slots.join(', ')}, and the socket blocks: the server may wait in accept(2) and answer no client; set ?nonblocking in -listen (docs/servers.md)`;
}

function keepsServing({ child: id }: FactOf<'child.unseen'>, before: SupervisorState | null): string {
	const child = before?.children.find((each) => each.child === id);
	const isServed = before?.children.some(({ generation }) => generation === before.serving) ?? false;
	return child?.generation === before?.candidate && isServed
		? `; generation ${before?.serving} keeps serving until this check passes`
		: '';
}

/** The path that a generation was started from, if it differs from the path of the serving generation. */
function originText(
	{ child: id, program, directory }: FactOf<'child.spawned'>,
	before: SupervisorState | null,
): Sentence | null {
	const own = before?.children.find((each) => each.child === id);
	const serving = before?.children.find(({ generation }) => generation === before.serving);
	if (!own || !serving || serving.generation === own.generation) return null;
	// Only the first child of a generation is logged.
	if (before?.children.some((each) => each.generation === own.generation && each.pid !== null)) return null;
	const [path, other] = directory === serving.directory ? [program, serving.program] : [directory, serving.directory];
	if (!path || !other || path === other) return null;
	return info(`Generation ${own.generation} comes from ${path}, generation ${serving.generation} from ${other}`);
}

/** How a process exited, as text: `exit status 3`, `signal: killed`. */
export function howItEnded({ code, signal }: { code: number | null; signal: string | null }): string {
	if (signal !== null) return `signal: ${signal}`;
	return code === null ? 'exit status unknown' : `exit status ${code}`;
}

/** The surviving processes of an exited child, and what happens to them. */
function survivorsText(
	{ child: id, survivors, holders = [] }: FactOf<'child.exited'>,
	before: SupervisorState | null,
): string {
	if (survivors.length === 0) return '';
	const child = before?.children.find((each) => each.child === id);
	const wasStopping = child !== undefined && isLeaving(child);
	const isOne = survivors.length === 1;
	const who = `; ${isOne ? 'process' : 'processes'} ${survivors.join(', ')} of it ${isOne ? 'lives' : 'live'} on`;
	const signals = `sending SIG${before?.plan.drain}, and SIGKILL after ${longestKillTimeout / 1000} s`;
	const isFailing = before !== null && child !== undefined && isOfCandidate(before, child);
	if (holders.length === 0) return isFailing ? `${who}: ${signals}` : who;
	const [it, holds] = holders.length === 1 ? ['it', 'holds'] : ['they', 'hold'];
	const does = holders.every(({ fds }) => fds.length > 0) ? holds : 'may hold';
	const those = holders.length === survivors.length ? it : holders.map(({ pid }) => pid).join(', ');
	const what = `${who}, and ${those} ${does} its sockets`;
	if (wasStopping)
		return `${what}: told to leave too; a start script has to exec the server, and the server to end its workers on SIG${before?.plan.drain} (-signal; docs/servers.md)`;
	return `${what}: ${signals}; a server has to stay in the foreground, and a start script to exec it (docs/servers.md)`;
}

const triggers = { start: 'Start', SIGHUP: 'SIGHUP', rotate: 'A rotation request' };

const stillDoing = { starting: 'is still starting', checking: 'is still checked', baking: 'still bakes' };

const requests: Record<Request['type'], string> = {
	'signal.HUP': 'SIGHUP',
	'signal.TERM': 'SIGTERM',
	'signal.INT': 'SIGINT',
	'signal.QUIT': 'SIGQUIT',
	'signal.USR1': 'SIGUSR1',
	'signal.USR2': 'SIGUSR2',
	'rotate.requested': 'A rotation request',
	'stop.requested': 'A stop request',
	'generation.stopRequested': 'A stop request for a generation',
	'upgrade.requested': 'An upgrade request',
};

const info = (text: string): Sentence => ({ level: 'info', text });
const warning = (text: string): Sentence => ({ level: 'warn', text });
const error = (text: string): Sentence => ({ level: 'error', text });

function pids(children: ChildState[]): string {
	return children.map(({ pid }) => pid ?? 'a child still being spawned').join(', ') || 'nobody';
}
