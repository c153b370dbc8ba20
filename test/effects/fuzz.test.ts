/** Whatever bytes are read back: a sentence, never an exception that nobody expected. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCommandLine } from '../../src/cli/flags.ts';
import { readJournal } from '../../src/effects/journal/lines.ts';
import { foldJournal } from '../../src/effects/journal/recovery.ts';
import { addressesOf, splitHostPort, splitUri, unixAddress } from '../../src/effects/sockets/address.ts';
import '../../src/effects/children/children.ts';
import '../../src/effects/sockets/listeners.ts';
import '../../src/cli/startup.ts';
import { checkSections } from '../../src/effects/upgrade/handoverState.ts';
import { header, journalText } from '../support/journal.ts';
import { rotating } from '../support/simulation.ts';

const runs = { numRuns: 3000 };
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const text = fc.string({ unit: 'binary', maxLength: 60 });

/** A real journal. */
const sound = Buffer.from(journalText(rotating().up(2).exited(1).history));

/** What a reader says: nothing, or one line of words. */
function errorText(work: () => void): string | null {
	try {
		work();
		return null;
	} catch (error) {
		return (error as Error).message;
	}
}

const isSentence = (words: string | null) => words === null || /^[^\n]+$/.test(words);

describe('any bytes', () => {
	it('as a journal are read up to where they make sense, or refused in a sentence', () => {
		fc.assert(
			fc.property(bytes, (garbage) => {
				const words = errorText(() => foldJournal(readJournal(garbage)));
				expect(words === null || /^(line 1 is no journal header|its format .*)$/.test(words)).toBe(true);
			}),
			runs,
		);
	});

	it('put into a journal anywhere are no more than an end of it', () => {
		fc.assert(
			fc.property(bytes, fc.nat(sound.length), fc.nat(40), (garbage, at, cut) => {
				const damaged = Buffer.concat([sound.subarray(0, at), garbage, sound.subarray(at + cut)]);
				const words = errorText(() => {
					const content = readJournal(damaged);
					foldJournal(content);
					expect(content.soundLength).toBeLessThanOrEqual(damaged.length);
					for (const problem of content.problems) expect(problem).toMatch(/^line \d+ .*$/);
				});
				expect(words === null || /^(line 1 is no journal header|its format .*)$/.test(words)).toBe(true);
			}),
			runs,
		);
	});

	it('for a value in a journal’s line leave either a fact or a sentence', () => {
		const lines = sound.toString().trim().split('\n').slice(1);
		fc.assert(
			fc.property(fc.nat(lines.length - 1), fc.nat(10), fc.jsonValue(), (index, field, value) => {
				const fact = JSON.parse(lines[index] ?? '{}');
				const keys = Object.keys(fact);
				fact[keys[field % keys.length] ?? ''] = value;
				const changed = [JSON.stringify(header), ...lines.slice(0, index), JSON.stringify(fact), ''].join('\n');
				foldJournal(readJournal(Buffer.from(changed)));
			}),
			runs,
		);
	});

	it('handed over are understood, or refused in a sentence', () => {
		const value = fc.oneof(fc.jsonValue(), fc.constant([]), fc.constant(null));
		const states = fc.record({ supervisor: value, listeners: value, outputs: value, children: value, journal: value });
		fc.assert(
			fc.property(states, (states) => {
				expect(errorText(() => checkSections(states as Record<string, unknown>))).toMatch(
					/^the section \w+ in the handover of the previous program can't be read$/,
				);
			}),
			runs,
		);
	});

	it('as a URI are an address or a sentence', () => {
		const uri = fc.oneof(
			text,
			fc
				.tuple(fc.constantFrom('tcp://', 'tcp4://', 'tcp6://', 'unix://', 'unix:', 'fd://', 'TCP:'), text)
				.map(([a, b]) => a + b),
		);
		fc.assert(
			fc.property(uri, (uri) => {
				expect(isSentence(errorText(() => splitUri(uri))?.replace(uri, '') || null)).toBe(true);
				expect(errorText(() => splitHostPort(uri))?.startsWith('address ') ?? true).toBe(true);
				expect(errorText(() => unixAddress(uri))?.startsWith('listen unix') ?? true).toBe(true);
				if (!/^[a-z0-9]*:\/\/[a-z]/i.test(uri) || uri.startsWith('unix')) addressesOf(uri);
			}),
			{ numRuns: 1000 },
		);
	});

	it('as flags are a run, a text to print, or a usage error', () => {
		const word = fc.oneof(
			text,
			fc
				.tuple(
					fc.constantFrom('-', '--'),
					fc.constantFrom('listen', 'start', 'kill', 'signal', 'syslog', 'user', 'json', 'h'),
					text,
				)
				.map(([dash, name, value]) => `${dash}${name}=${value}`),
			fc.constantFrom(
				'-listen',
				'-start',
				'--',
				'-',
				'---',
				'-=',
				'--=x',
				'-command=x',
				'-__proto__=1',
				'-constructor',
			),
		);
		fc.assert(
			fc.property(fc.array(word, { maxLength: 6 }), (words) => {
				const request = readCommandLine(words, '1.0.0');
				if ('print' in request) expect([0, 2]).toContain(request.status);
				else {
					expect(Number.isFinite(request.run.plan.start) && Number.isFinite(request.run.plan.kill)).toBe(true);
					expect(request.run.listen.length).toBeGreaterThan(0);
				}
			}),
			runs,
		);
	});
});
