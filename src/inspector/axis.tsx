/** The time axis, and the marks of what the supervisor was told and of how it began. */
import { duration } from '../machines/text/duration.ts';
import type { Drawn } from './generationRow.tsx';
import { branch, timeline } from './store.ts';
import { type TimeSpan, ticksOf } from './timeSpan.ts';
import { clockTime, exactTime, shortDate } from './times.ts';

/** The room for the label of a tick, in pixels. */
const room = 92;

interface AxisProps {
	span: TimeSpan;
	width: number;
	x: (time: number) => number;
	/** Receives how far the pointer has moved, in pixels. */
	drag: (pixels: number) => void;
}

export function Axis({ span, width, x, drag }: AxisProps) {
	const ticks = ticksOf(span, Math.max(2, Math.floor(width / room)));
	const step = (ticks[1] ?? span.to) - (ticks[0] ?? span.from);
	const label = (at: number) => (step >= 86_400_000 ? shortDate(at) : step < 1000 ? exactTime(at) : clockTime(at));
	return (
		<svg
			class="axis"
			width={width}
			height={20}
			aria-hidden="true"
			onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
			onPointerMove={(event) => event.buttons === 1 && drag(event.movementX)}
		>
			{ticks.map((at) => (
				<g key={at}>
					<line x1={x(at)} x2={x(at)} y1={14} y2={20} />
					{x(at) < width - (step < 1000 ? 80 : 55) && (
						<text x={x(at) + 3} y={13}>
							{label(at)}
						</text>
					)}
				</g>
			))}
		</svg>
	);
}

/** Marks with labels; labels that would collide are merged into a count. */
export function Marks({ x, width, at }: Pick<Drawn, 'x' | 'width' | 'at'>) {
	const { marks, beginnings } = timeline().lives;
	const seen = marks.filter((mark) => x(mark.at) >= -1 && x(mark.at) <= width + 1);
	const gaps = new Map(beginnings.map(({ index, gap }) => [index, gap]));
	const labels: { left: number; text: string; isLater: boolean; count: number; full: string }[] = [];
	for (const mark of seen) {
		const left = x(mark.at);
		const before = labels.at(-1);
		const gap = gaps.get(mark.index) ?? 0;
		const isBegin = branch.value !== null && mark.index === 0 && branch.value.after !== null;
		const label = isBegin ? 'what if' : mark.label;
		const text = gap > 0 ? `${label} (gap ≤ ${duration(gap)})` : label;
		if (before && left - before.left < before.text.length * 6.5 + 22) {
			before.count += 1;
			before.full += `, ${text}`;
			continue;
		}
		labels.push({ left, text, isLater: mark.index > at, count: 0, full: text });
	}
	return (
		<svg class="marks" width={width} height={20} role="img" aria-label={`${seen.length} signals, requests and starts`}>
			{labels.map(({ left, text, isLater, count, full }) => (
				<g key={left} class={isLater ? 'later' : ''}>
					<path d={`M${left} 4l-3.5 8h7z`} />
					<text x={left > width - 70 ? left - 6 : left + 6} y={13} text-anchor={left > width - 70 ? 'end' : 'start'}>
						{text}
						{count > 0 ? ` +${count}` : ''}
					</text>
					<title>{full}</title>
				</g>
			))}
		</svg>
	);
}
