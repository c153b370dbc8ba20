/** A statechart as a drawing, in Graphviz's DOT: states within states, what each does when it is entered, all ways. */

interface StateNode {
	key: string;
	path: string[];
	type: string;
	description?: string | undefined;
	states: Record<string, StateNode>;
	initial?: { target: StateNode[] };
	on: Record<string, Transition[]>;
	always?: Transition[];
	entry: readonly unknown[];
	invoke: { id: string; src: unknown }[];
}

interface Transition {
	source: StateNode;
	target: StateNode[] | undefined;
	guard?: unknown;
	actions: readonly unknown[];
	eventType: string;
	description?: string;
}

/** Draws a machine: its states, what leads from one to the next and what is done on the way. */
export function toDot(machine: { id: string; root: unknown }): string {
	const root = machine.root as StateNode;
	return [
		`digraph ${machine.id} {`,
		'\tcompound=true; rankdir=TB; bgcolor="white"; nodesep=0.6; ranksep=0.7; fontname="Helvetica"; fontsize=12;',
		'\tnode [shape=box, style="rounded,filled", fillcolor="#eef3f8", color="#45607c", fontname="Helvetica", fontsize=13];',
		'\tedge [color="#45607c", fontcolor="#30475e", fontname="Helvetica", fontsize=10];',
		...insideOf(root, '\t'),
		...merged(edgesOf(root)).map(
			({ from, to, label }) => `\t"${tailOf(from)}" -> "${headOf(from, to)}" [label="${label}"${headClip(from, to)}];`,
		),
		'}',
		'',
	].join('\n');
}

/** The states in a state, each a box or a cluster of its own, and where it begins. */
function insideOf(state: StateNode, indent: string): string[] {
	const begin = `${nameOf(state)}.initial`;
	const first = state.initial?.target[0];
	return [
		...(first
			? [
					`${indent}"${begin}" [shape=circle, width=0.15, fixedsize=true, fillcolor="#45607c", label=""];`,
					`${indent}"${begin}" -> "${headOf(state, first)}"${isCompound(first) ? ` [lhead="cluster_${nameOf(first)}"]` : ''};`,
				]
			: []),
		...(isCompound(state) && waysFrom(state).length > 0
			? [`${indent}"${tailOf(state)}" [label="in any of these", style="rounded,dashed"];`]
			: []),
		...Object.values(state.states).flatMap((inner) => {
			const label = [inner.key, ...doneIn(inner)].join('\\n');
			if (!isCompound(inner)) {
				return [`${indent}"${nameOf(inner)}" [label="${label}"${inner.type === 'final' ? ', peripheries=2' : ''}];`];
			}
			return [
				`${indent}subgraph "cluster_${nameOf(inner)}" {`,
				`${indent}\tlabel="${label}"; labeljust=l; style=rounded; color="#45607c";`,
				...insideOf(inner, `${indent}\t`),
				`${indent}}`,
			];
		}),
	];
}

/** What is done when a state is entered, and while it is active. */
function doneIn({ entry, invoke }: StateNode): string[] {
	return [...entry.map((action) => `entry / ${wordOf(action)}`), ...invoke.map(({ id }) => `invokes ${id}`)];
}

interface Edge {
	from: StateNode;
	to: StateNode;
	label: string;
}

function edgesOf(state: StateNode): Edge[] {
	const own = waysFrom(state).map((way) => ({ from: state, to: way.target?.[0] ?? state, label: labelOf(way) }));
	return [...own, ...Object.values(state.states).flatMap(edgesOf)];
}

/** What leads out of a state or does something in it; what is ignored on purpose is not drawn. */
function waysFrom({ on, always }: StateNode): Transition[] {
	return [...Object.values(on).flat(), ...(always ?? [])].filter(({ target, actions }) => target || actions.length > 0);
}

function labelOf({ eventType, guard, actions }: Transition): string {
	const event = eventType.replace('xstate.done.actor.*', 'one is done');
	const condition = guard ? ` [${wordOf(guard)}]` : '';
	const done = actions.length > 0 ? ` / ${actions.map(wordOf).join(', ')}` : '';
	return `${event}${condition}${done}`.trim();
}

/** A guard or an action in a word: of what is decided, its name. */
function wordOf(thing: unknown): string {
	if (typeof thing === 'string') return thing;
	const { type, params } = thing as { type: string; params?: unknown };
	if (typeof params === 'function') return `${type} ${params.name}`;
	if (typeof params === 'string') return `${type} ${params}`;
	return type === 'decide' ? `decide ${(params as { type: string }).type}` : type;
}

/** Several ways between two states share one arrow. */
function merged(edges: Edge[]): Edge[] {
	const arrows = new Map<string, Edge>();
	for (const edge of edges) {
		const key = `${nameOf(edge.from)}>${nameOf(edge.to)}`;
		const known = arrows.get(key);
		arrows.set(key, known ? { ...known, label: `${known.label}\\n${edge.label}` } : edge);
	}
	return [...arrows.values()];
}

function isCompound({ type }: StateNode): boolean {
	return type === 'compound';
}

function nameOf({ path }: StateNode): string {
	return path.join('.') || 'machine';
}

/** Arrows of Graphviz go between boxes: those out of a cluster come from a box that stands for all in it, */
function tailOf(state: StateNode): string {
	return isCompound(state) ? `${nameOf(state)}.any` : nameOf(state);
}

/** and those to a cluster go to its beginning, */
function headOf(from: StateNode, to: StateNode): string {
	if (!isCompound(to)) return nameOf(to);
	return from === to ? tailOf(to) : `${nameOf(to)}.initial`;
}

/** cut off at its edge. */
function headClip(from: StateNode, to: StateNode): string {
	return isCompound(to) && !isWithin(from, to) ? `, lhead="cluster_${nameOf(to)}"` : '';
}

function isWithin(inner: StateNode, outer: StateNode): boolean {
	return outer.path.every((key, index) => inner.path[index] === key);
}
