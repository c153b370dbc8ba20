/** A statechart as plain data: its states, transitions and actions. Drawings and tables are made from it. */

/**
 * What a state means to an operator. `coming`: it starts. `well`: it serves. `leaving`: it stops. `ill`: it is in
 * trouble. `gone`: it has ended. `passing`: it is left at once. `resting`: it is idle.
 */
export type Tone = 'coming' | 'well' | 'leaving' | 'ill' | 'gone' | 'passing' | 'resting';

export interface ChartState {
	/** For example `alive.staying.booting`; the empty string is the machine itself. */
	id: string;
	key: string;
	/** The parent's id; null for the machine itself. */
	parent: string | null;
	isFinal: boolean;
	/** The ids of its child states. */
	states: string[];
	/** The id of its initial child state; null without child states. */
	initial: string | null;
	tone: Tone;
	description: string;
	/** Its entry actions, and the actors that run while it is active. */
	entry: string[];
	invokes: string[];
}

/** A transition. */
export interface Way {
	/**
	 * For example `alive.starting|signal.HUP|0`: the state, the event, and the index among the transitions of that event
	 * in that state.
	 */
	id: string;
	from: string;
	/** The target state; null if the state does not change. */
	to: string | null;
	/** The event type; empty for a transition without an event (`always`). */
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

/** The part of xstate's state nodes that is read. */
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

/** Reads the statechart from an xstate machine. */
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
 * The transitions that an event can take in a state, in the order in which they are tried: those of the state itself,
 * then of each ancestor, up to and including the first state with an unguarded transition.
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

/** All transitions that can be taken next in a state. */
export function possibleWays(chart: Chart, state: string): Way[] {
	return [...new Set(chart.ways.map(({ event }) => event))].flatMap((event) => waysOn(chart, state, event));
}

/** The id of an xstate transition, the same as `Way.id`. */
export function wayId(transition: unknown): string {
	const { source, eventType } = transition as Transition;
	const siblings = source.transitions.get(eventType) ?? source.always ?? [];
	return `${idOf(source)}|${eventType}|${siblings.indexOf(transition as Transition)}`;
}

/** The state id of an xstate state value: `alive.staying.booting` for `{ alive: { staying: 'booting' } }`. */
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
		entry: node.entry.map(nameOf),
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
		guard: guard ? nameOf(guard) : null,
		actions: actions.map(nameOf),
		description: description ?? null,
	};
}

/** The name of a guard or an action, with its parameter: `decide ready`. */
function nameOf(thing: unknown): string {
	if (typeof thing === 'string') return thing;
	const { type, params } = thing as { type: string; params?: unknown };
	if (typeof params === 'function') return `${type} ${params.name}`;
	if (typeof params === 'string') return `${type} ${params}`;
	return params === undefined ? type : `${type} ${(params as { type: string }).type}`;
}
