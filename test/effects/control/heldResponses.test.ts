/** When a response that waits is sent, and with what. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { HeldResponses, upgradeOutcome } from '../../../src/effects/control/heldResponses.ts';
import type { Fact } from '../../../src/machines/facts/facts.ts';
import { evolveProjections, noProjections } from '../../../src/machines/state/projections.ts';
import type { Simulation } from '../../../src/testing/simulation.ts';
import { rotating } from '../../support/simulation.ts';

const fact = { seq: 1, at: 0 };
const verified: Fact = { ...fact, type: 'upgrade.verified' };
const refused: Fact = { ...fact, type: 'upgrade.refused', reason: 'it is too old' };
const second: Fact = { ...fact, type: 'request.refused', request: 'upgrade.requested', reason: 'upgrading' };

/** A response without a connection: its text is kept. */
class KeptResponse extends ServerResponse {
	text = '';

	constructor() {
		super(new IncomingMessage(new Socket()));
	}

	override end(text?: unknown): this {
		this.text = String(text);
		return super.end();
	}

	sent() {
		return this.writableEnded ? { status: this.statusCode, body: JSON.parse(this.text) } : null;
	}
}

function held() {
	let past = noProjections;
	const responses = new HeldResponses(() => past);
	return {
		responses,
		note(...facts: Fact[]) {
			for (const each of facts) {
				past = evolveProjections(past, each);
				responses.note(each);
			}
		},
		/** What has happened before the requests. */
		begin: ({ history }: Simulation) => {
			past = history.reduce(evolveProjections, noProjections);
		},
		forgetRotations: () => {
			past = { ...past, rotations: noProjections.rotations };
		},
	};
}

describe('a response to an awaited rotation', () => {
	it('is sent with its result, and not before', () => {
		const simulation = rotating();
		const { responses, begin, note } = held();
		begin(simulation);
		const before = simulation.history.length;
		const response = new KeptResponse();
		responses.holdForRotation(response, 2);
		note({ ...fact, type: 'signal.USR1' });
		expect(response.sent()).toBeNull();
		note(...simulation.up(2).history.slice(before));
		expect(response.sent()).toMatchObject({ status: 200, body: { generation: 2, result: 'promoted' } });
	});

	it('is an error if the rotation is dropped', () => {
		const { responses, begin, note, forgetRotations } = held();
		begin(rotating());
		const response = new KeptResponse();
		responses.holdForRotation(response, 2);
		forgetRotations();
		note({ ...fact, type: 'signal.USR1' });
		expect(response.sent()).toEqual({ status: 404, body: { error: 'generation 2 is not known any more' } });
	});

	it('is not sent to a client that has disconnected', () => {
		const simulation = rotating();
		const { responses, begin, note } = held();
		begin(simulation);
		const before = simulation.history.length;
		const response = new KeptResponse();
		responses.holdForRotation(response, 2);
		responses.forget(response);
		note(...simulation.up(2).history.slice(before));
		expect(response.sent()).toBeNull();
	});
});

describe('of several requests for an upgrade', () => {
	function two() {
		const { responses } = held();
		const [first, last] = [new KeptResponse(), new KeptResponse()];
		responses.holdForUpgrade(first);
		responses.holdForUpgrade(last);
		return { responses, first, last };
	}

	it('the last is refused while one is under way, and the first goes on', () => {
		const { responses, first, last } = two();
		responses.note(second);
		expect(last.sent()).toEqual({ status: 409, body: { error: 'an upgrade is under way already' } });
		expect(first.sent()).toBeNull();
		responses.note(verified);
		expect(first.sent()).toEqual({ status: 202, body: {} });
	});

	it('all get the reason of an upgrade that is refused', () => {
		const { responses, first, last } = two();
		responses.note(refused);
		for (const each of [first, last]) expect(each.sent()).toEqual({ status: 409, body: { error: 'it is too old' } });
	});
});

it('only a refusal and a success decide a request for an upgrade', () => {
	expect(upgradeOutcome(verified)).toEqual({ why: null, isOfLast: false });
	expect(upgradeOutcome(refused)).toEqual({ why: 'it is too old', isOfLast: false });
	expect(upgradeOutcome({ ...second, reason: 'stopping' })).toEqual({ why: 'already stopping', isOfLast: true });
	expect(upgradeOutcome({ ...second, request: 'rotate.requested' })).toBeNull();
	expect(upgradeOutcome({ ...fact, type: 'upgrade.begun' })).toBeNull();
});
