/** Counts of what happened, as metrics show them. A fold over facts that decides nothing. */
import type { Fact } from '../facts/facts.ts';
import type { Receipt, Verdict } from './rotations.ts';
import type { Roster } from './supervisorState.ts';

export interface Tally {
	/** Rotations by verdict; a start is none. */
	rotations: Record<Exclude<Verdict, 'pending'>, number>;
	/** Those that serve, and were not seen to accept. */
	unverified: number;
	/** From the first child's birth to the verdict of each generation that came up: those within each bound, and the sum. */
	ready: { counts: number[]; count: number; seconds: number };
	/** Children that took the place of one that was lost. */
	respawns: number;
	/** One has begun. */
	isUpgrading: boolean;
	upgrades: number;
	upgradesFailed: number;
	/** Why the last upgrade failed; null where it did not. */
	upgradeFailure: string | null;
	recoveries: number;
}

/** The histogram's bounds, in seconds. */
export const readyBounds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

export const emptyTally: Tally = {
	rotations: { serving: 0, givenUp: 0, stopped: 0 },
	unverified: 0,
	ready: { counts: readyBounds.map(() => 0), count: 0, seconds: 0 },
	respawns: 0,
	isUpgrading: false,
	upgrades: 0,
	upgradesFailed: 0,
	upgradeFailure: null,
	recoveries: 0,
};

/**
 * Adds one fact, and the receipts that it gives a verdict.
 * @param before what all earlier facts amount to
 */
export function evolveTally(tally: Tally, fact: Fact, before: Roster | null, settled: Receipt[]): Tally {
	return settled.reduce(withVerdict, withFact(tally, fact, before));
}

function withFact(tally: Tally, fact: Fact, before: Roster | null): Tally {
	switch (fact.type) {
		case 'supervisor.started':
			return emptyTally;
		case 'supervisor.recovered':
			if (fact.by === 'start') return { ...tally, isUpgrading: false, recoveries: tally.recoveries + 1 };
			// Else it has replaced itself after a fault.
			return tally.isUpgrading
				? { ...tally, isUpgrading: false, upgrades: tally.upgrades + 1, upgradeFailure: null }
				: tally;
		case 'upgrade.begun':
			return { ...tally, isUpgrading: true };
		case 'upgrade.refused':
		case 'upgrade.failed':
			return {
				...tally,
				isUpgrading: false,
				upgradesFailed: tally.upgradesFailed + 1,
				upgradeFailure: fact.reason,
			};
		case 'child.spawning': {
			const isRespawn = before?.respawns.some(
				({ generation, index, attempt }) => generation === fact.generation && index === fact.index && attempt > 0,
			);
			return isRespawn ? { ...tally, respawns: tally.respawns + 1 } : tally;
		}
		default:
			return tally;
	}
}

function withVerdict(tally: Tally, { verdict, asked, spawnedAt, verdictAt, continuedAs, unproven }: Receipt): Tally {
	if (verdict === 'pending' || continuedAs !== null) return tally;
	const { ready, rotations } = tally;
	const unverified = tally.unverified + (verdict === 'serving' && unproven ? 1 : 0);
	const counted = asked === 'start' ? rotations : { ...rotations, [verdict]: rotations[verdict] + 1 };
	if (verdict !== 'serving' || spawnedAt === null || verdictAt === null)
		return { ...tally, rotations: counted, unverified };
	// The clock of the wall may have been set back.
	const seconds = Math.max(0, verdictAt - spawnedAt) / 1000;
	const counts = ready.counts.map((count, index) => count + (seconds <= (readyBounds[index] ?? 0) ? 1 : 0));
	return {
		...tally,
		rotations: counted,
		unverified,
		ready: { counts, count: ready.count + 1, seconds: ready.seconds + seconds },
	};
}
