/**
 * What an earlier version has written, in the shape of the present one: a journal of format 4 and a handover of format 5 (commit
 * cd933d0) as formats 5 and 6. Renames alone: the schemas check the values afterwards.
 */

type Json = Record<string, unknown>;

/** The formats of a journal that are read, the oldest first. */
export const oldestJournalFormat = 4;

/** The formats of a handover that are taken over, the oldest first. */
export const oldestHandoverFormat = 5;

/** A line of a journal. @param format of the header before it */
export function upcastLine(line: Json, format: number): Json {
	if (format > 4) return line;
	if ('journal' in line) return renamed(line, { words: 'notifyDir' });
	if ('checkpoint' in line) {
		const { receipts, tally, checkpoint, ...rest } = line;
		return { ...rest, checkpoint: stateOf(checkpoint), rotations: rotationsOf(receipts), counters: countersOf(tally) };
	}
	return factOf(line);
}

/** The sections of a handover, by their names. */
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

function factOf(fact: Json): Json {
	const names = { asked: 'trigger', lastWords: 'lastOutput', left: 'survivors', roster: 'state' };
	const { type, state, ...rest } = renamed(fact, names);
	const known = typeof type === 'string' && Object.hasOwn(factTypes, type) ? factTypes[type] : type;
	return { ...rest, type: known, ...(state === undefined ? {} : { state: stateOf(state) }) };
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

/** The same fields under other names. */
function renamed(from: Json, names: Record<string, string>): Json {
	return Object.fromEntries(
		Object.entries(from).map(([name, value]) => [Object.hasOwn(names, name) ? (names[name] ?? name) : name, value]),
	);
}

function isObject(value: unknown): value is Json {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
