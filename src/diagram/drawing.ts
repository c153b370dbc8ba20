import { fonts, type JoinedWay, type Line } from './arrows.ts';
import type { Chart } from './chart.ts';
import { tones } from './descriptions.ts';
import { type Box, type Layout, layOut, lineHeights, type Path, type PlacedWay, padding } from './layout.ts';
import { escapeXml, widthOf } from './textWidth.ts';

const margin = 16;
const legendHeight = 34;

/** Draws a statechart as an SVG. @param style the style sheet, embedded in the SVG */
export async function drawChart(chart: Chart, style: string, direction: 'DOWN' | 'RIGHT' = 'DOWN'): Promise<string> {
	const layout = await layOut(chart, direction);
	const width = Math.ceil(Math.max(layout.width, 480) + 2 * margin);
	const height = Math.ceil(layout.height + 2 * margin + legendHeight);
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="${chart.id}-title">`,
		`<title id="${chart.id}-title">${escapeXml(`The statechart of the ${chart.id}. ${chart.description}`)}</title>`,
		`<style>${style.replace(/\s*\n\s*/g, ' ').trim()}</style>`,
		`<rect class="paper" width="${width}" height="${height}" rx="12"/>`,
		`<g transform="translate(${margin} ${margin})">`,
		...layout.states.map((placed) => stateOf(placed)),
		...layout.begins.map(({ x, y, width: size, paths }) =>
			[
				`<circle class="begin" cx="${x + size / 2}" cy="${y + size / 2}" r="${size / 2}"/>`,
				...paths.map((path) => arrow(path, 'begin')),
			].join(''),
		),
		...layout.ways.map(wayOf),
		...(layout.history ? [historyOf(layout.history)] : []),
		'</g>',
		legend(height - legendHeight, layout, chart),
		'</svg>',
		'',
	].join('\n');
}

function stateOf({ state, lines, ...box }: Layout['states'][number]): string {
	const kind = state.states.length > 0 ? 'compound' : state.isFinal ? 'final' : 'atomic';
	const isCompound = kind === 'compound';
	let y = box.y + padding.y + (isCompound ? 0 : 3);
	const parts = [
		`<g class="state ${kind} ${state.tone}" data-state="${state.id}" tabindex="0">`,
		`<title>${escapeXml(`${state.key}: ${state.description}`)}</title>`,
		`<rect ${at(box)} rx="${isCompound ? 14 : 9}"/>`,
		...(state.isFinal ? [`<rect class="inner" ${at(inset(box, 3))} rx="6"/>`] : []),
	];
	for (const line of lines) {
		parts.push(text(line, isCompound ? box.x + padding.x + 6 : box.x + box.width / 2, y, !isCompound));
		y += lineHeights[line.style];
	}
	return `${parts.join('')}</g>`;
}

/** The history pseudo-state: an H in a circle. */
function historyOf({ x, y, height, ids, sentence }: NonNullable<Layout['history']>): string {
	const [radius, middle] = [12, y + height / 2];
	return [
		`<g class="way history" data-from="" data-ways="${escapeXml(ids.join(' '))}" tabindex="0"><title>${escapeXml(sentence)}</title>`,
		`<rect x="${round(x)}" y="${round(middle - radius)}" width="${2 * radius}" height="${2 * radius}" rx="${radius}"/>`,
		text({ text: 'H', style: 'name' }, x + radius, middle - 12, true),
		text({ text: 'resume', style: 'event' }, x + 2 * radius + 6, middle - 9, false),
		'</g>',
	].join('');
}

function wayOf({ way, paths, ...box }: PlacedWay): string {
	let y = box.y + padding.y;
	const kinds = `${paths.length === 1 ? ' stub' : ''}${way.main.length > 0 ? ' main' : ''}`;
	const parts = [
		`<g class="way${kinds}" ${idsOf(way)} tabindex="0">`,
		`<title>${escapeXml(way.sentence)}</title>`,
		...paths.map((path) => arrow(path, isMain(way, path) ? 'arrow main' : 'arrow')),
		`<rect ${at(box)} rx="5"/>`,
	];
	for (const line of way.lines) {
		parts.push(text(line, box.x + box.width / 2, y, true));
		y += lineHeights[line.style];
	}
	return `${parts.join('')}</g>`;
}

function isMain({ main }: JoinedWay, { from }: Path): boolean {
	return from === null ? main.length > 0 : main.includes(from);
}

function idsOf({ ids, from }: JoinedWay): string {
	return `data-from="${from.join(' ')}" data-ways="${escapeXml(ids.join(' '))}"`;
}

function text({ text: label, style }: Line, x: number, top: number, isCentred: boolean): string {
	const anchor = isCentred ? ' text-anchor="middle"' : '';
	return `<text class="${style}" x="${round(x)}" y="${round(top + lineHeights[style] * 0.76)}"${anchor}>${escapeXml(label)}</text>`;
}

/** A polyline with rounded corners; with an arrow head if the line ends at a state. */
function arrow({ points, from }: Path, kind: string): string {
	const radius = 7;
	const [first, ...rest] = points;
	if (!first) return '';
	let d = `M${round(first.x)} ${round(first.y)}`;
	rest.forEach((point, index) => {
		const next = rest[index + 1];
		const before = points[index] as { x: number; y: number };
		if (!next) {
			d += `L${round(point.x)} ${round(point.y)}`;
			return;
		}
		const a = toward(point, before, radius);
		const b = toward(point, next, radius);
		d += `L${round(a.x)} ${round(a.y)}Q${round(point.x)} ${round(point.y)} ${round(b.x)} ${round(b.y)}`;
	});
	return `<path class="${kind}"${from === null ? '' : ` data-from="${from}"`} d="${d}"/>${from === null ? head(points, kind) : ''}`;
}

function toward(from: { x: number; y: number }, to: { x: number; y: number }, most: number) {
	const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
	const share = Math.min(most, length / 2) / length;
	return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
}

function head(points: { x: number; y: number }[], kind: string): string {
	const tip = points.at(-1) as { x: number; y: number };
	const before = points.at(-2) as { x: number; y: number };
	const angle = Math.atan2(tip.y - before.y, tip.x - before.x);
	const corner = (turn: number) =>
		`${round(tip.x - 9 * Math.cos(angle + turn))} ${round(tip.y - 9 * Math.sin(angle + turn))}`;
	return `<path class="head${kind.includes('main') ? ' main' : ''}" d="M${round(tip.x)} ${round(tip.y)}L${corner(0.42)}L${corner(-0.42)}Z"/>`;
}

/** The legend of the colours. */
function legend(y: number, layout: Layout, { id }: Chart): string {
	const present = [
		...new Set(layout.states.filter(({ state }) => state.states.length === 0).map(({ state }) => state.tone)),
	];
	let x = margin;
	const parts = [`<g class="legend" aria-label="${id}: colours">`];
	for (const tone of present) {
		const label = tones[tone];
		parts.push(
			`<g class="state atomic ${tone}"><rect x="${x}" y="${y + 6}" width="16" height="12" rx="3"/>`,
			text({ text: label, style: 'note' }, x + 22, y + 4, false),
			'</g>',
		);
		x += 22 + widthOf(label, fonts.note) + 22;
	}
	return `${parts.join('')}</g>`;
}

function at({ x, y, width, height }: Box): string {
	return `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`;
}

function inset({ x, y, width, height }: Box, by: number): Box {
	return { x: x + by, y: y + by, width: width - 2 * by, height: height - 2 * by };
}

function round(number: number): number {
	return Math.round(number * 10) / 10;
}
