/** The counters behind the metrics: a pure fold over the facts. */
import type { Fact } from '../facts/facts.ts';
import type { Result, Rotation } from './rotations.ts';
import type { SupervisorState } from './supervisorState.ts';

export interface Counters {
	/** Rotations by result, without starts. */
	rotations: Record<Exclude<Result, 'pending'>, number>;
	/** Generations that were promoted, although the listener check did not see them accept. */
	unverified: number;
	/**
	 * The time from the spawn of the first child to the result of each promoted generation. `counts[i]` is the number of
	 * generations within `readyBounds[i]`, `seconds` the sum.
	 */
	ready: { counts: number[]; count: number; seconds: number };
	/** Health checks that passed and failed, and the seconds that they took together. */
	checks: { passed: number; failed: number; seconds: number };
	/** Children that were aborted as their watchdog had expired. */
	hung: number;
	/** Children that were spawned into the slot of a lost child. */
	respawns: number;
	/** An upgrade is under way. */
	isUpgrading: boolean;
	upgrades: number;
	upgradesFailed: number;
	/** Why the last upgrade failed; null if it succeeded or there was none. */
	upgradeFailure: string | null;
	recoveries: number;
}

/** The histogram's bounds, in seconds. */
export const readyBounds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

export const noCounts: Counters = {
	rotations: { promoted: 0, failed: 0, stopped: 0 },
	unverified: 0,
	ready: { counts: readyBounds.map(() => 0), count: 0, seconds: 0 },
	checks: { passed: 0, failed: 0, seconds: 0 },
	hung: 0,
	respawns: 0,
	isUpgrading: false,
	upgrades: 0,
	upgradesFailed: 0,
	upgradeFailure: null,
	recoveries: 0,
};

/**
 * Adds one fact.
 * @param before the fold of all earlier facts
 * @param settled the rotations that receive a result by this fact
 */
export function evolveCounters(
	counters: Counters,
	fact: Fact,
	before: SupervisorState | null,
	settled: Rotation[],
): Counters {
	return settled.reduce(withResult, withFact(counters, fact, before));
}

function withFact(counters: Counters, fact: Fact, before: SupervisorState | null): Counters {
	switch (fact.type) {
		case 'supervisor.started':
			return noCounts;
		case 'supervisor.recovered':
			if (fact.by === 'start') return { ...counters, isUpgrading: false, recoveries: counters.recoveries + 1 };
			// If no upgrade had begun, the crash handler has re-executed the supervisor.
			return counters.isUpgrading
				? { ...counters, isUpgrading: false, upgrades: counters.upgrades + 1, upgradeFailure: null }
				: counters;
		case 'upgrade.begun':
			return { ...counters, isUpgrading: true };
		case 'upgrade.refused':
		case 'upgrade.failed':
			return {
				...counters,
				isUpgrading: false,
				upgradesFailed: counters.upgradesFailed + 1,
				upgradeFailure: fact.reason,
			};
		case 'child.hung': {
			const isServing = before?.children.some(({ child, phase }) => child === fact.child && phase === 'serving');
			return isServing && fact.attempt === 1 ? { ...counters, hung: counters.hung + 1 } : counters;
		}
		case 'check.passed':
		case 'check.failed': {
			const { checks } = counters;
			const name = fact.type === 'check.passed' ? 'passed' : 'failed';
			const seconds = checks.seconds + fact.millis / 1000;
			return { ...counters, checks: { ...checks, [name]: checks[name] + 1, seconds } };
		}
		case 'child.spawning': {
			const isRespawn = before?.respawns.some(
				({ generation, index, attempt }) => generation === fact.generation && index === fact.index && attempt > 0,
			);
			return isRespawn ? { ...counters, respawns: counters.respawns + 1 } : counters;
		}
		default:
			return counters;
	}
}

function withResult(
	counters: Counters,
	{ result, trigger, spawnedAt, finishedAt, supersededBy, ...rotation }: Rotation,
): Counters {
	if (result === 'pending' || supersededBy !== null) return counters;
	const { ready, rotations } = counters;
	const unverified = counters.unverified + (result === 'promoted' && rotation.unverified ? 1 : 0);
	const counted = trigger === 'start' ? rotations : { ...rotations, [result]: rotations[result] + 1 };
	if (result !== 'promoted' || spawnedAt === null || finishedAt === null)
		return { ...counters, rotations: counted, unverified };
	// The wall clock may have been set back.
	const seconds = Math.max(0, finishedAt - spawnedAt) / 1000;
	const counts = ready.counts.map((count, index) => count + (seconds <= (readyBounds[index] ?? 0) ? 1 : 0));
	return {
		...counters,
		rotations: counted,
		unverified,
		ready: { counts, count: ready.count + 1, seconds: ready.seconds + seconds },
	};
}
