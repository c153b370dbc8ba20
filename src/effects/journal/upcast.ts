/**
 * Converts lines and sections of an earlier version to the present names: journal format 4 to 5, and handover format
 * 5 to 6 (the earlier formats are those of commit cd933d0). Only names change; the schemas check the values
 * afterwards.
 */

type Json = Record<string, unknown>;

/** The oldest journal format that this program reads. */
export const oldestJournalFormat = 4;

/** The oldest handover format that this program takes over. */
export const oldestHandoverFormat = 5;

/** Converts a line of a journal. @param format the format of the last header before this line */
export function upcastLine(line: Json, format: number): Json {
	if (format > 4) return line;
	if ('journal' in line) return renamed(line, { words: 'notifyDir' });
	if ('checkpoint' in line) {
		const { receipts, tally, checkpoint, ...rest } = line;
		return { ...rest, checkpoint: stateOf(checkpoint), rotations: rotationsOf(receipts), counters: countersOf(tally) };
	}
	return factOf(line);
}

/** Converts the sections of a handover. */
export function upcastSections(sections: Json, format: number): Json {
	if (format > 5) return sections;
	const { words, lastWords, supervisor, ...rest } = sections;
	const { roster, receipts, tally, ...known } = isObject(supervisor) ? supervisor : {};
	return {
		...rest,
		notifySockets: words,
		lastOutput: lastWords,
		supervisor: { ...known, state: stateOf(roster), rotations: rotationsOf(receipts), counters: countersOf(tally) },
	};
}

const factTypes: Record<string, string> = {
	'child.proving': 'child.verifying',
	'child.proved': 'child.verified',
	'child.unproved': 'child.unverified',
	'generation.givenUp': 'generation.failed',
	'generation.kept': 'generation.degraded',
	'stop.undone': 'stop.cancelled',
};

const factFields = { asked: 'trigger', lastWords: 'lastOutput', left: 'survivors', roster: 'state' };

function factOf(fact: Json): Json {
	const { type } = fact;
	const known = typeof type === 'string' && Object.hasOwn(factTypes, type) ? factTypes[type] : type;
	const named = renamed(fact, factFields);
	if (named === fact && known === type) return fact;
	return { ...named, type: known, ...(named.state === undefined ? {} : { state: stateOf(named.state) }) };
}

function stateOf(state: unknown): unknown {
	if (!isObject(state)) return state;
	const { children, ended, ...rest } = renamed(state, { isWhole: 'isComplete', asked: 'trigger' });
	return {
		...rest,
		children: Array.isArray(children) ? children.map(childOf) : children,
		...(ended === undefined ? {} : { ended: childOf(ended) }),
	};
}

const phases: Record<string, string> = { proving: 'verifying', lingering: 'orphaned' };

function childOf(child: unknown): unknown {
	if (!isObject(child)) return child;
	const { phase, ...rest } = renamed(child, { born: 'spawnedClock', ready: 'readyBy', left: 'survivors' });
	return { ...rest, phase: typeof phase === 'string' && Object.hasOwn(phases, phase) ? phases[phase] : phase };
}

const results: Record<string, string> = { serving: 'promoted', givenUp: 'failed' };

function rotationsOf(receipts: unknown): unknown {
	if (!isObject(receipts)) return receipts;
	const { kept, ...rest } = renamed(receipts, { askedAt: 'requestedAt' });
	return { ...rest, kept: Array.isArray(kept) ? kept.map(rotationOf) : kept };
}

function rotationOf(receipt: unknown): unknown {
	if (!isObject(receipt)) return receipt;
	const { result, ...rest } = renamed(receipt, {
		verdict: 'result',
		asked: 'trigger',
		askedAt: 'requestedAt',
		verdictAt: 'finishedAt',
		ready: 'readyBy',
		unproven: 'unverified',
		lastWords: 'lastOutput',
		continuedAs: 'supersededBy',
	});
	return { ...rest, result: typeof result === 'string' && Object.hasOwn(results, result) ? results[result] : result };
}

function countersOf(tally: unknown): unknown {
	if (!isObject(tally)) return tally;
	const { rotations, ...rest } = tally;
	return { ...rest, rotations: isObject(rotations) ? renamed(rotations, results) : rotations };
}

function renamed(from: Json, names: Record<string, string>): Json {
	if (!Object.keys(names).some((name) => name in from)) return from;
	return Object.fromEntries(
		Object.entries(from).map(([name, value]) => [Object.hasOwn(names, name) ? (names[name] ?? name) : name, value]),
	);
}

function isObject(value: unknown): value is Json {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
