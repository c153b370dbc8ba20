/** The timeline: a bar for each child, a band for each rotation, and the supervisor above them. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { duration } from '../machines/text/duration.ts';
import { Band, Bar, lane, type Span, Supervisor } from './lanes.tsx';
import type { ChildLife, GenerationLife } from './lifespans.ts';
import { chosen, goTo, index, isFollowing, timeline, timeShown, total, zoomed } from './store.ts';
import { clockTime } from './times.ts';

const top = 64;
/** Without zoom, up to this many generations before the selected one are shown. */
const usual = 24;
/** With more bars than this in view, labels and marks are omitted for lack of space. */
const crowd = 250;

export function Timeline() {
	const room = useRef<HTMLDivElement>(null);
	const width = useWidth(room);
	const { lives, entries, indexAt, timeAt } = timeline();
	const at = index.value;
	const now = timeShown();
	total.value;
	const span = zoomed.value ? following(zoomed.value) : fitting();
	const scale = width / Math.max(1, span.to - span.from);
	const x = (time: number) => (time - span.from) * scale;
	const bars = lives.children.filter(
		({ segments, end }) => (segments[0]?.at ?? 0) <= span.to && (end?.at ?? Number.POSITIVE_INFINITY) >= span.from,
	);
	const lanes = [...new Set(bars.map((bar) => bar.lane))].sort((one, other) => one - other);
	const y = (life: ChildLife) => top + lanes.indexOf(life.lane) * lane;
	const height = top + Math.max(1, lanes.length) * lane + 8;
	const isCrowded = bars.length > crowd;
	const bands = lives.generations.filter(
		({ started, result }) => started.at <= span.to && (result?.at ?? now) >= span.from,
	);

	/**
	 * The span without zoom. It ends at the selected entry, or some generations later, and begins up to `usual`
	 * generations earlier. It begins later if the last four rotations would become too narrow to see.
	 */
	function fitting(): Span {
		const all = lives.generations;
		const last = isFollowing.value ? all.length - 1 : all.findLastIndex(({ started }) => started.index <= at);
		const later = isFollowing.value ? all.length : Math.min(all.length, last + 1 + usual / 2);
		const to = later < all.length ? (all[later]?.started.at ?? 0) : Math.max(now, timeAt(entries.length - 1));
		let first = Math.max(0, last);
		const recent = all.slice(Math.max(0, last - 3), last + 1);
		while (first > 0 && last - first < usual && isReadable(recent, all[first - 1]?.started.at ?? 0, to)) first -= 1;
		const from = first === 0 ? timeAt(0) : (all[first]?.started.at ?? 0);
		const edge = Math.max(20, (to - from) * 0.03);
		return { from: from - edge, to: Math.max(to, from + 100) + edge };
	}

	/** Whether the longest of these rotations takes at least 1.5 % of the span: then it is wide enough to see. */
	function isReadable(lives: GenerationLife[], from: number, to: number): boolean {
		const times = lives.map(({ started, result }) => (result?.at ?? now) - started.at);
		return Math.max(...times) >= (to - from) * 0.015;
	}

	/** The zoomed span, moved with the time shown if it is followed. */
	function following({ from, to, isFollowed }: NonNullable<typeof zoomed.value>): Span {
		if (!isFollowed || !isFollowing.value || now <= to) return { from, to };
		const by = now - to + (to - from) * 0.05;
		return { from: from + by, to: to + by };
	}

	const zoom = (factor: number) => {
		const middle = Math.min(span.to, Math.max(span.from, now));
		look(middle - (middle - span.from) * factor, middle + (span.to - middle) * factor);
	};
	const pan = (part: number) => {
		const by = (span.to - span.from) * part;
		look(span.from + by, span.to + by);
	};
	const look = (from: number, to: number) => {
		zoomed.value = { from, to, isFollowed: from <= now && now <= to };
	};
	const travel = (event: PointerEvent) => {
		const { left } = (event.currentTarget as Element).getBoundingClientRect();
		goTo(Math.max(0, indexAt(span.from + (event.clientX - left) / scale)));
	};

	return (
		<section class="timeline" aria-labelledby="timeline-title">
			<header>
				<h2 id="timeline-title">Timeline</h2>
				<span class="quiet">
					{clockTime(span.from)} to {clockTime(span.to)}, {duration(span.to - span.from)}
				</span>
				<span class="tools">
					<button type="button" aria-label="Earlier" onClick={() => pan(-0.4)}>
						‹
					</button>
					<button type="button" aria-label="Later" onClick={() => pan(0.4)}>
						›
					</button>
					<button type="button" aria-label="See a longer time" onClick={() => zoom(1.6)}>
						−
					</button>
					<button type="button" aria-label="See a shorter time" onClick={() => zoom(1 / 1.6)}>
						+
					</button>
					<button
						type="button"
						onClick={() => {
							zoomed.value = null;
						}}
					>
						Fit
					</button>
				</span>
			</header>
			<div class="lanes" ref={room}>
				<svg
					width={width}
					height={height}
					role="slider"
					{...{ tabindex: 0 }}
					aria-label="The moment shown: drag, or use the arrow keys"
					aria-valuemin={0}
					aria-valuemax={Math.max(0, total.value - 1)}
					aria-valuenow={Math.max(0, at)}
					aria-valuetext={entries[at] ? `fact ${entries[at]?.fact.seq}, ${clockTime(now)}` : 'no fact yet'}
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
							y={y(life)}
							width={width}
							at={at}
							now={now}
							isCrowded={isCrowded}
						/>
					))}
					<rect class="future" x={x(now)} y={0} width={Math.max(0, width - x(now))} height={height} />
					<line class="cursor" x1={x(now)} x2={x(now)} y1={0} y2={height} />
				</svg>
			</div>
		</section>
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
