/** The drawing of the timeline, in which a pointer selects the moment. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Band, Bar, lane, Supervisor } from './lanes.tsx';
import type { ChildLife } from './lifespans.ts';
import { chosen, goTo, index, timeline, total } from './store.ts';
import type { TimeSpan } from './timeSpan.ts';
import { clockTime } from './times.ts';

/** The height above the bars, in pixels. */
const top = 64;
/** With more bars than this in view, labels and marks are omitted for lack of space. */
const crowd = 250;

interface Shown {
	span: TimeSpan;
	/** The time shown, in milliseconds since 1970. */
	now: number;
}

export function TimelineDrawing({ span, now }: Shown) {
	const room = useRef<HTMLDivElement>(null);
	const width = useWidth(room);
	const shown = timeline();
	const entry = shown.entries[index.value];
	const bars = shown.lives.children.filter(
		({ segments, end }) => (segments[0]?.at ?? 0) <= span.to && (end?.at ?? Number.POSITIVE_INFINITY) >= span.from,
	);
	const lanes = [...new Set(bars.map((bar) => bar.lane))].sort((one, other) => one - other);
	const height = top + Math.max(1, lanes.length) * lane + 8;
	const scale = width / Math.max(1, span.to - span.from);

	const travel = (event: PointerEvent) => {
		const { left } = (event.currentTarget as Element).getBoundingClientRect();
		goTo(Math.max(0, shown.indexAt(span.from + (event.clientX - left) / scale)));
	};

	return (
		<div class="lanes" ref={room}>
			<svg
				width={width}
				height={height}
				role="slider"
				{...{ tabindex: 0 }}
				aria-label="The moment shown: drag, or use the arrow keys"
				aria-valuemin={0}
				aria-valuemax={Math.max(0, total.value - 1)}
				aria-valuenow={Math.max(0, index.value)}
				aria-valuetext={entry ? `fact ${entry.fact.seq}, ${clockTime(now)}` : 'no fact yet'}
				onPointerDown={(event) => {
					const bar = (event.target as Element).closest<SVGElement>('[data-child]');
					if (bar) chosen.value = { generation: Number(bar.dataset.generation), child: Number(bar.dataset.child) };
					event.currentTarget.setPointerCapture(event.pointerId);
					travel(event);
				}}
				onPointerMove={(event) => {
					if (event.buttons === 1) travel(event);
				}}
			>
				<Scene
					span={span}
					now={now}
					bars={bars}
					lanes={lanes}
					x={(time) => (time - span.from) * scale}
					width={width}
					height={height}
				/>
			</svg>
		</div>
	);
}

interface SceneProps extends Shown {
	bars: ChildLife[];
	/** The lanes of these bars, in the order in which they are drawn. */
	lanes: number[];
	x: (time: number) => number;
	width: number;
	height: number;
}

function Scene({ span, now, bars, lanes, x, width, height }: SceneProps) {
	const at = index.value;
	const isCrowded = bars.length > crowd;
	const bands = timeline().lives.generations.filter(
		({ started, result }) => started.at <= span.to && (result?.at ?? now) >= span.from,
	);
	return (
		<>
			<defs>
				<pattern id="hatch" width="7" height="7" patternTransform="rotate(45)" patternUnits="userSpaceOnUse">
					<rect width="2.5" height="7" class="stripe" />
				</pattern>
			</defs>
			{bands.map((life) => (
				<Band key={life.started.index} life={life} x={x} at={at} now={now} height={height} isCrowded={isCrowded} />
			))}
			<Supervisor x={x} span={span} width={width} isCrowded={isCrowded} />
			{bars.map((life) => (
				<Bar
					key={`${life.child} ${life.segments[0]?.index}`}
					life={life}
					x={x}
					y={top + lanes.indexOf(life.lane) * lane}
					width={width}
					at={at}
					now={now}
					isCrowded={isCrowded}
				/>
			))}
			<rect class="future" x={x(now)} y={0} width={Math.max(0, width - x(now))} height={height} />
			<line class="cursor" x1={x(now)} x2={x(now)} y1={0} y2={height} />
		</>
	);
}

function useWidth(room: { current: HTMLDivElement | null }): number {
	const [width, setWidth] = useState(800);
	useEffect(() => {
		if (!room.current) return;
		const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 800)));
		observer.observe(room.current);
		return () => observer.disconnect();
	}, []);
	return width;
}
