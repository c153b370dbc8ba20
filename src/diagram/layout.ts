/** The layout of a statechart's drawing: boxes for the states, and boxes on the arrows for the transitions. */
import { createRequire } from 'node:module';
import type { ELK, ElkExtendedEdge, ElkNode } from 'elkjs';
import { fonts, isResumed, isWithin, type JoinedWay, joined, type Line, outerOf } from './arrows.ts';
import type { Chart, ChartState, Way } from './chart.ts';
import { widthOf } from './textWidth.ts';

export interface Box {
	x: number;
	y: number;
	width: number;
	height: number;
}

export interface PlacedState extends Box {
	state: ChartState;
	/** Its name. */
	lines: Line[];
}

/**
 * A line. `from` is the source state of a line that ends at a transition's box; null for a line that ends at a state.
 */
export interface Path {
	points: { x: number; y: number }[];
	from: string | null;
}

export interface PlacedWay extends Box {
	way: JoinedWay;
	/** The lines from each source state to the box, and from the box to the target. A stub has only the last. */
	paths: Path[];
}

export interface Layout {
	width: number;
	height: number;
	/** Parents before their child states. */
	states: PlacedState[];
	ways: PlacedWay[];
	/** The dots that mark initial states. */
	begins: (Box & { paths: PlacedWay['paths'] })[];
	/** The history pseudo-state: a supervisor that starts goes on from here where an earlier one was. Null without one. */
	history: (Box & { ids: string[]; sentence: string }) | null;
}

export const lineHeights: Record<Line['style'], number> = {
	name: 21,
	event: 16,
	if: 15,
	note: 15,
};
export const padding = { x: 8, y: 5 };

/** The room of the history pseudo-state with its label, in pixels. */
const historySize = { width: 110, height: 30 };

/** Computes the layout of a statechart. All lengths are in pixels. */
export async function layOut(chart: Chart, direction: 'DOWN' | 'RIGHT'): Promise<Layout> {
	const ways = joined(chart, mainOf(chart));
	const resumed = chart.ways.filter(isResumed);
	const states = new Map(chart.states.map((state) => [state.id, placedState(state)]));
	const outer = ways.flatMap((way) => (way.to === null ? [] : { way, to: way.to, id: `way:${way.ids[0]}` }));
	const nodes = new Map(chart.states.map(({ id }) => [id, nodeOf(states.get(id) as PlacedState)]));
	const edges: ElkExtendedEdge[] = [];
	const order = new Map(chart.states.map(({ id }, index) => [id, index]));
	const isAfter = (one: string, other: string) => (order.get(one) ?? 0) > (order.get(other) ?? 0);

	/** Adds a node. The layout places nodes from top to bottom in the order in which they are added. */
	function add(parent: string, node: ElkNode) {
		const own = nodes.get(parent) as ElkNode;
		own.children = [...(own.children ?? []), node];
	}

	for (const { id, parent, initial } of chart.states) {
		if (parent !== null) {
			// A stub is added right before its target state.
			for (const { way, to, id: stub } of outer) {
				if (to !== id || !isStubOf(way, to)) continue;
				add(outerOf(to), { id: stub, ...sizeOf(way.lines) });
				edges.push(edge(`${stub}>`, stub, to));
			}
			add(parent, nodes.get(id) as ElkNode);
		}
		if (resumed.length > 0 && resumed.every(({ to }) => to !== null && outerOf(to) === id))
			add(id, { id: 'history', ...historySize });
		if (initial !== null) {
			add(id, { id: `begin:${id}`, width: 12, height: 12 });
			edges.push(edge(`begin:${id}>`, `begin:${id}`, initial));
		}
		for (const { way, to, id: box } of outer) {
			if (way.from[0] !== id || isStubOf(way, to)) continue;
			add(commonParent(id, to), { id: box, ...sizeOf(way.lines) });
			const isUp = isAfter(id, to);
			for (const source of way.from) edges.push(edge(`${box}<${source}`, source, box, isAfter(source, to)));
			edges.push(edge(`${box}>`, box, to, isUp));
		}
	}

	const root = nodes.get('') as ElkNode;
	root.edges = edges;
	const Elk = createRequire(import.meta.url)('elkjs') as new () => ELK;
	const placed = await new Elk().layout(root, { layoutOptions: { ...layoutOptions, 'elk.direction': direction } });
	const boxes = new Map<string, Box>();
	absolute(placed, 0, 0, boxes);
	const lines = new Map(
		(placed.edges ?? []).map((each) => {
			const points = pointsOf(each);
			return each.id.endsWith('^') ? [each.id.slice(0, -1), points.reverse()] : [each.id, points];
		}),
	);
	const path = (id: string, from: string | null): Path => ({ points: lines.get(id) ?? [], from });
	const at = (id: string) => boxes.get(id) as Box;
	return {
		width: placed.width ?? 0,
		height: placed.height ?? 0,
		states: chart.states
			.filter(({ id }) => id !== '')
			.map(({ id }) => ({ ...(states.get(id) as PlacedState), ...at(id) })),
		ways: outer.map(({ way, to, id }) => ({
			way,
			...at(id),
			paths: [
				...(isStubOf(way, to) ? [] : way.from.map((source) => path(`${id}<${source}`, source))),
				path(`${id}>`, null),
			],
		})),
		begins: chart.states
			.filter(({ initial }) => initial !== null)
			.map(({ id }) => ({ ...at(`begin:${id}`), paths: [path(`begin:${id}>`, null)] })),
		history: boxes.has('history')
			? {
					...at('history'),
					ids: resumed.map(({ id }) => id),
					sentence: 'The supervisor goes on where an earlier one was.',
				}
			: null,
	};
}

/** Whether a transition is on the way from the first state, by good states alone. */
function mainOf({ states }: Chart): (way: Pick<Way, 'from' | 'to'>) => boolean {
	const order = new Map(states.map(({ id }, index) => [id, index]));
	const tones = new Map(states.map(({ id, tone, states: inner }) => [id, inner.length > 0 ? null : tone]));
	const isGood = (id: string) => ['coming', 'well', 'passing'].includes(tones.get(id) ?? '');
	return ({ from, to }) => to !== null && isGood(from) && isGood(to) && (order.get(from) ?? 0) < (order.get(to) ?? 0);
}

const layoutOptions = {
	'elk.algorithm': 'layered',
	'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
	'elk.edgeRouting': 'ORTHOGONAL',
	'elk.layered.layering.strategy': 'NETWORK_SIMPLEX',
	'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
	'elk.layered.nodePlacement.favorStraightEdges': 'true',
	'elk.layered.crossingMinimization.strategy': 'LAYER_SWEEP',
	'elk.layered.thoroughness': '50',
	'elk.layered.spacing.nodeNodeBetweenLayers': '18',
	'elk.layered.spacing.edgeNodeBetweenLayers': '9',
	'elk.layered.spacing.edgeEdgeBetweenLayers': '7',
	'elk.spacing.nodeNode': '10',
	'elk.spacing.edgeNode': '8',
	'elk.spacing.edgeEdge': '7',
	'elk.randomSeed': '1',
	'elk.json.edgeCoords': 'ROOT',
	'elk.json.shapeCoords': 'PARENT',
};

function nodeOf({ state, lines }: PlacedState): ElkNode {
	const { width, height } = sizeOf(lines);
	const id = state.id || 'machine';
	if (state.states.length === 0) return { id, width: Math.max(width, 92), height: height + 6 };
	return {
		id,
		layoutOptions: {
			'elk.padding': `[top=${(state.id === '' ? 0 : height) + 8},left=12,bottom=12,right=12]`,
			'elk.nodeSize.constraints': 'MINIMUM_SIZE',
			'elk.nodeSize.minimum': `(${width + 20},${height})`,
		},
	};
}

/**
 * An edge that leads up is given to the layout in reverse, and marked with `^` in its id. Then the order of the states
 * in the machine stays their order in the drawing.
 */
function edge(id: string, from: string, to: string, isUp = false): ElkExtendedEdge {
	const [source, target] = isUp ? [to, from] : [from, to];
	return { id: isUp ? `${id}^` : id, sources: [source || 'machine'], targets: [target || 'machine'] };
}

function placedState(state: ChartState): PlacedState {
	return { state, lines: [{ text: state.key, style: 'name' }], x: 0, y: 0, width: 0, height: 0 };
}

function sizeOf(lines: Line[], vertical = padding.y): { width: number; height: number } {
	const width = Math.max(0, ...lines.map(({ text, style }) => widthOf(text, fonts[style])));
	const height = lines.reduce((sum, { style }) => sum + lineHeights[style], 0);
	return { width: width + 2 * padding.x, height: Math.ceil(height + 2 * vertical) };
}

/** The innermost state that contains both states. */
function commonParent(one: string, other: string): string {
	let parent = outerOf(one);
	while (!isWithin(other, parent) || other === parent) parent = outerOf(parent);
	return parent;
}

/** Whether a transition leads from a state to one of its descendants. Its box is a stub: no line leads to the box. */
function isStubOf({ from }: JoinedWay, to: string): boolean {
	const [source = ''] = from;
	return source !== to && isWithin(to, source);
}

function absolute(node: ElkNode, x: number, y: number, boxes: Map<string, Box>): void {
	const own = { x: x + (node.x ?? 0), y: y + (node.y ?? 0), width: node.width ?? 0, height: node.height ?? 0 };
	boxes.set(node.id === 'machine' ? '' : node.id, own);
	for (const inner of node.children ?? []) absolute(inner, own.x, own.y, boxes);
}

function pointsOf({ sections }: ElkExtendedEdge): Path['points'] {
	return (sections ?? []).flatMap(({ startPoint, bendPoints, endPoint }) => [
		startPoint,
		...(bendPoints ?? []),
		endPoint,
	]);
}
