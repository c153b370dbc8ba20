/** A statechart as plain data: its states, the ways between them, what is done on the way. Drawings and tables are made of it. */

/** What a state means for who watches: on its way up, well, on its way out, in trouble, gone; passed through; at rest. */
export type Tone = 'coming' | 'well' | 'leaving' | 'ill' | 'gone' | 'passing' | 'resting';

export interface ChartState {
	/** `alive.staying.booting`; the empty string is the machine itself. */
	id: string;
	key: string;
	/** Null for the machine itself. */
	parent: string | null;
	isFinal: boolean;
	/** Those within it, by their ids. */
	states: string[];
	/** Where it begins, if it has states within it. */
	initial: string | null;
	tone: Tone;
	description: string;
	/** What is done when it is entered, and who is at work while it is active. */
	entry: string[];
	invokes: string[];
}

export interface Way {
	/** `alive.starting|signal.HUP|0`: the state, the event, and the place among those that the event has there. */
	id: string;
	from: string;
	/** Where it leads; null when it stays. */
	to: string | null;
	/** Empty for what follows by itself. */
	event: string;
	guard: string | null;
	actions: string[];
	description: string | null;
}

export interface Chart {
	id: string;
	description: string;
	states: ChartState[];
	ways: Way[];
}

/** What of xstate's own nodes is looked at. */
interface StateNode {
	key: string;
	path: string[];
	type: string;
	tags: string[];
	description?: string | undefined;
	parent?: StateNode | undefined;
	states: Record<string, StateNode>;
	initial?: { target: StateNode[] };
	transitions: Map<string, Transition[]>;
	always?: Transition[];
	entry: readonly unknown[];
	invoke: readonly { id: string }[];
}

interface Transition {
	source: StateNode;
	target: readonly StateNode[] | undefined;
	guard?: unknown;
	actions: readonly unknown[];
	eventType: string;
	description?: string;
}

/** Reads a machine. */
export function chartOf(machine: { id: string; root: unknown }): Chart {
	const root = machine.root as StateNode;
	const nodes = withInner(root);
	return {
		id: machine.id,
		description: root.description ?? '',
		states: nodes.map(stateOf),
		ways: nodes.flatMap((node) => [...node.transitions.values(), node.always ?? []].flat().map(wayOf)),
	};
}

/**
 * The ways that an event may take where a chart stands: those of the innermost state, and of the states around it for as
 * long as none without a condition has been met. In the order in which they are tried.
 */
export function waysOn({ states, ways }: Chart, state: string, event: string): Way[] {
	const found: Way[] = [];
	for (let at: string | null = state; at !== null; at = states.find(({ id }) => id === at)?.parent ?? null) {
		const own = ways.filter((way) => way.from === at && way.event === event);
		found.push(...own);
		if (own.some(({ guard }) => guard === null)) break;
	}
	return found;
}

/** All ways that may be taken next where a chart stands. */
export function possibleWays(chart: Chart, state: string): Way[] {
	return [...new Set(chart.ways.map(({ event }) => event))].flatMap((event) => waysOn(chart, state, event));
}

/** The name of a transition as xstate tells of it, the same as in the chart. */
export function wayId(transition: unknown): string {
	const { source, eventType } = transition as Transition;
	const siblings = source.transitions.get(eventType) ?? source.always ?? [];
	return `${idOf(source)}|${eventType}|${siblings.indexOf(transition as Transition)}`;
}

/** `alive.staying.booting` of `{ alive: { staying: 'booting' } }`. */
export function pathOf(value: unknown): string {
	if (typeof value === 'string') return value;
	const [[key, inner] = ['', '']] = Object.entries(value as object);
	return `${key}.${pathOf(inner)}`;
}

function withInner(node: StateNode): StateNode[] {
	return [node, ...Object.values(node.states).flatMap(withInner)];
}

function idOf({ path }: StateNode): string {
	return path.join('.');
}

function stateOf(node: StateNode): ChartState {
	return {
		id: idOf(node),
		key: node.key,
		parent: node.parent ? idOf(node.parent) : null,
		isFinal: node.type === 'final',
		states: Object.values(node.states).map(idOf),
		initial: node.initial?.target[0] ? idOf(node.initial.target[0]) : null,
		tone: (node.tags[0] as Tone | undefined) ?? 'resting',
		description: node.description ?? '',
		entry: node.entry.map(readySourceOf),
		invokes: node.invoke.map(({ id }) => id),
	};
}

function wayOf(transition: Transition): Way {
	const { source, target, guard, actions, eventType, description } = transition;
	return {
		id: wayId(transition),
		from: idOf(source),
		to: target?.[0] ? idOf(target[0]) : null,
		event: eventType,
		guard: guard ? readySourceOf(guard) : null,
		actions: actions.map(readySourceOf),
		description: description ?? null,
	};
}

/** A guard or an action by its name, with what it is asked for: `isAdoptedIn booting`, `decide ready`. */
function readySourceOf(thing: unknown): string {
	if (typeof thing === 'string') return thing;
	const { type, params } = thing as { type: string; params?: unknown };
	if (typeof params === 'function') return `${type} ${params.name}`;
	if (typeof params === 'string') return `${type} ${params}`;
	return params === undefined ? type : `${type} ${(params as { type: string }).type}`;
}
