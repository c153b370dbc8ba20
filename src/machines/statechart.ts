/** A statechart as a drawing, in Graphviz's DOT. */

interface StateNode {
	key: string;
	type: string;
	states: Record<string, StateNode>;
	initial: { target: StateNode[] };
	on: Record<string, Transition[]>;
	always?: Transition[];
}

interface Transition {
	target: StateNode[] | undefined;
	guard?: unknown;
	actions: readonly unknown[];
	eventType: string;
}

/** Draws the top level of a machine: its states, what leads from one to the next and what is done on the way. */
export function toDot(machine: { id: string; root: unknown }): string {
	const root = machine.root as StateNode;
	const states = Object.values(root.states);
	const own = states.flatMap((state) => edgesOf(state));
	const everywhere = edgesOf(root).map((edge) => ({ ...edge, from: 'in any state' }));
	const edges = merged([...own, ...everywhere]);
	return [
		`digraph ${machine.id} {`,
		'\trankdir=TB; bgcolor="transparent"; nodesep=0.6; ranksep=0.7;',
		'\tnode [shape=box, style="rounded,filled", fillcolor="#eef3f8", color="#45607c", fontname="Helvetica", fontsize=13];',
		'\tedge [color="#45607c", fontcolor="#30475e", fontname="Helvetica", fontsize=10];',
		'\t"" [shape=circle, width=0.15, fillcolor="#45607c", label=""];',
		'\t"in any state" [style="dashed"];',
		...states.map(({ key, type }) => `\t"${key}"${type === 'final' ? ' [peripheries=2]' : ''};`),
		`\t"" -> "${root.initial.target[0]?.key}";`,
		...edges.map(({ from, to, label }) => `\t"${from}" -> "${to}" [label="${label}"];`),
		'}',
		'',
	].join('\n');
}

interface Edge {
	from: string;
	to: string;
	label: string;
}

function edgesOf(state: StateNode): Edge[] {
	const transitions = [...Object.values(state.on).flat(), ...(state.always ?? [])];
	return transitions
		.filter(({ target, actions }) => target || actions.length > 0)
		.map((transition) => ({
			from: state.key,
			to: transition.target?.[0]?.key ?? (state.type === 'compound' ? 'in any state' : state.key),
			label: labelOf(transition),
		}));
}

function labelOf({ eventType, guard, actions }: Transition): string {
	const condition = guard ? ` [${nameOf(guard)}]` : '';
	const done = actions.length > 0 ? ` / ${actions.map(nameOf).join(', ')}` : '';
	return `${eventType}${condition}${done}`.trim();
}

function nameOf(thing: unknown): string {
	if (typeof thing === 'string') return thing;
	const { type, params } = thing as { type: string; params?: unknown };
	return typeof params === 'string' ? `${type} ${params}` : type;
}

/** Several ways between two states share one arrow. */
function merged(edges: Edge[]): Edge[] {
	const arrows = new Map<string, Edge>();
	for (const edge of edges) {
		const key = `${edge.from}>${edge.to}`;
		const known = arrows.get(key);
		arrows.set(key, known ? { ...known, label: `${known.label}\\n${edge.label}` } : edge);
	}
	return [...arrows.values()];
}
