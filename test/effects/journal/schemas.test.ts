/** A later version reads what an earlier one has written: no schema takes less than it did, and each change of one is seen. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { type GenericSchema, object, safeParse } from 'valibot';
import { describe, expect, it } from 'vitest';
// All that declares a part of a handover.
import '../../../src/cli/daemon.ts';
import { newSchemas } from '../../../src/effects/journal/lineSchemas.ts';
import { upcastLine, upcastSections } from '../../../src/effects/journal/upcast.ts';
import { sections } from '../../../src/effects/upgrade/handoverState.ts';
import type { FactType } from '../../../src/machines/facts/facts.ts';
import { root } from '../../support/program.ts';
import { anyValueOf, type Description, describeSchema, whyNarrower } from '../../support/schemas.ts';

const formats = join(root, 'test/formats');
const { facts, header, checkpoint } = newSchemas();
const described = (schemas: [string, unknown][]) =>
	Object.fromEntries(schemas.map(([name, schema]) => [name, describeSchema(schema)]));
const now: Stored = {
	journal: {
		...described([
			['header', header],
			['checkpoint', checkpoint],
		]),
		facts: described(Object.entries(facts)),
	} as Stored['journal'],
	// By name: the order of the imports is no part of a format.
	handover: described(
		sections.toSorted((one, other) => (one.name < other.name ? -1 : 1)).map(({ name, schema }) => [name, schema()]),
	),
};

interface Stored {
	journal: { header: Description; checkpoint: Description; facts: Record<string, Description> };
	handover: Record<string, Description>;
}

const stored = (name: string): Stored => JSON.parse(readFileSync(join(formats, name), 'utf8'));
/** Of journals of format 4 and handovers of format 5, and of the first with the present formats. */
const [earlier, first] = [stored('schemas-cd933d0.json'), stored('schemas-5.json')];
const { facts: earlierFacts, header: earlierHeader, checkpoint: earlierCheckpoint } = earlier.journal;

/** Reads what an earlier version may have written, whatever it is. */
function expectRead(
	description: Description,
	read: (value: Record<string, unknown>) => Record<string, unknown>,
	schemaOf: (value: Record<string, unknown>) => GenericSchema | undefined,
) {
	fc.assert(
		fc.property(anyValueOf(description), (value) => {
			const present = read(value as Record<string, unknown>);
			const schema = schemaOf(present);
			if (!schema) throw new Error(`there is no schema for ${JSON.stringify(present)}`);
			const { success, issues } = safeParse(schema, present);
			expect(success, JSON.stringify({ present, issues })).toBe(true);
		}),
		{ numRuns: 200 },
	);
}

const line = (value: Record<string, unknown>) => upcastLine(value, 4);

it('the header and the checkpoint of a journal of format 4 are read', () => {
	expectRead(earlierHeader, line, () => header);
	expectRead(earlierCheckpoint, line, () => checkpoint);
});

it.each(Object.keys(earlierFacts))('%s of a journal of format 4 is read', (type) => {
	expectRead(earlierFacts[type] as Description, line, (fact) => facts[fact.type as FactType]);
});

it('a handover of format 5 is taken over', () => {
	expectRead(
		{ object: earlier.handover },
		(value) => upcastSections(value, 5),
		() => object(Object.fromEntries(sections.map(({ name, schema }) => [name, schema()]))),
	);
});

it('the header and the checkpoint of a journal of format 5 are taken', () => {
	expect(whyNarrower(first.journal.header, now.journal.header, 'header')).toBeNull();
	expect(whyNarrower(first.journal.checkpoint, now.journal.checkpoint, 'checkpoint')).toBeNull();
});

it.each(Object.keys(first.journal.facts))('%s of a journal of format 5 is taken', (type) => {
	const { [type]: schema } = now.journal.facts;
	expect(schema).toBeDefined();
	expect(whyNarrower(first.journal.facts[type] as Description, schema as Description, type)).toBeNull();
});

it('no section of a handover is left out', () => {
	expect(Object.keys(now.handover)).toEqual(expect.arrayContaining(Object.keys(first.handover)));
});

it.each(Object.keys(now.handover))('the section %s of a handover of format 6 is taken', (name) => {
	const before = first.handover[name];
	// What an earlier program does not hand over is missing.
	if (before === undefined) expect(now.handover[name]).toHaveProperty('optional');
	else expect(whyNarrower(before, now.handover[name] as Description, name)).toBeNull();
});

it('no schema changes without a stored file', async () => {
	await expect(`${JSON.stringify(now, null, '\t')}\n`).toMatchFileSnapshot(
		join(formats, 'schemas.json'),
		'A schema has changed. A new field with a default: store a journal and a handover that have it in test/formats, and run this with -u. Any other change: a new format',
	);
});

describe('what is narrower', () => {
	const object = (fields: Record<string, Description>): Description => ({ object: fields });
	it.each<[string, Description, Description, string | null]>([
		['a new field with a default', object({ a: 'number' }), object({ a: 'number', b: { optional: 'string' } }), null],
		['a new field without one', object({}), object({ a: 'number' }), 'x.a is new, and has no default'],
		['a field that is gone', object({ a: 'number' }), object({}), null],
		[
			'a field that must not be missing any more',
			object({ a: { optional: 'number' } }),
			object({ a: 'number' }),
			'x.a may no longer be missing',
		],
		['another kind', object({ a: 'number' }), object({ a: 'string' }), 'x.a was "number", and is "string"'],
		[
			'null that is not taken any more',
			object({ a: { nullable: 'number' } }),
			object({ a: 'number' }),
			'x.a was {"nullable":"number"}, and is "number"',
		],
		['null that is taken', object({ a: 'number' }), object({ a: { nullable: 'number' } }), null],
		['one word fewer', { oneOf: ['a', 'b'] }, { oneOf: ['a'] }, 'x may no longer be "b"'],
		['one word more', { oneOf: ['a'] }, { oneOf: ['a', 'b'] }, null],
		['a bound', 'number', { checked: 'number', by: ['max_value:8'] }, 'x is asked for max_value:8'],
		['a bound that is gone', { checked: 'number', by: ['integer'] }, 'number', null],
		['an object that takes no more fields', object({}), 'strict_object', 'x was {"object":{}}, and is "strict_object"'],
		['an item', { array: 'number' }, { array: object({}) }, 'x[] was "number", and is {"object":{}}'],
	])('%s', (_, before, later, why) => {
		expect(whyNarrower(before, later, 'x')).toBe(why);
	});
});
