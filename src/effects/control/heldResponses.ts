/** Responses that are sent when a fact decides them: those to an awaited rotation, and to an upgrade. */
import type { ServerResponse } from 'node:http';
import type { Fact } from '../../machines/facts/facts.ts';
import type { Projections } from '../../machines/state/projections.ts';
import { rotationOf, shown } from './keptRotations.ts';
import { refuse, say } from './reply.ts';

export class HeldResponses {
	readonly #past: () => Projections;
	/** By response: the generation whose rotation it waits for. */
	readonly #rotations = new Map<ServerResponse, number>();
	readonly #upgrades = new Set<ServerResponse>();

	constructor(past: () => Projections) {
		this.#past = past;
	}

	holdForRotation(response: ServerResponse, generation: number): void {
		this.#rotations.set(response, generation);
	}

	/** The response is sent when the new program has checked itself. */
	holdForUpgrade(response: ServerResponse): void {
		this.#upgrades.add(response);
	}

	forget(response: ServerResponse): void {
		this.#rotations.delete(response);
		this.#upgrades.delete(response);
	}

	note(fact: Fact): void {
		if (this.#upgrades.size > 0) this.#answerUpgrades(fact);
		for (const [response, generation] of this.#rotations) {
			const rotation = rotationOf(this.#past().rotations, generation);
			if (rotation?.result === 'pending') continue;
			this.#rotations.delete(response);
			if (rotation) say(response, 200, shown(rotation));
			else refuse(response, 404, `generation ${generation} is not known any more`);
		}
	}

	#answerUpgrades(fact: Fact): void {
		const outcome = upgradeOutcome(fact);
		if (outcome === null) return;
		const { why, isOfLast } = outcome;
		const answered = isOfLast ? [...this.#upgrades].slice(-1) : [...this.#upgrades];
		for (const response of answered) {
			this.#upgrades.delete(response);
			if (why === null) say(response, 202, {});
			else refuse(response, 409, why);
		}
	}
}

interface UpgradeOutcome {
	/** Why the upgrade does not take place; null if it does. */
	why: string | null;
	/** The fact answers the newest waiting request only; else it answers all of them. */
	isOfLast: boolean;
}

/** @returns null for a fact that decides no request for an upgrade */
export function upgradeOutcome(fact: Fact): UpgradeOutcome | null {
	switch (fact.type) {
		case 'request.refused': {
			if (fact.request !== 'upgrade.requested') return null;
			const why = fact.reason === 'stopping' ? 'already stopping' : 'an upgrade is under way already';
			return { why, isOfLast: true };
		}
		case 'upgrade.refused':
			return { why: fact.reason, isOfLast: false };
		case 'upgrade.verified':
			return { why: null, isOfLast: false };
		default:
			return null;
	}
}
