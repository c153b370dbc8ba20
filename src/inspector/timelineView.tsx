/** The timeline: a row for each generation, newest on top, and the moment in it. */
import { effect, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { duration } from '../machines/text/duration.ts';
import { Axis, Marks } from './axis.tsx';
import { type Drawn, GenerationRow } from './generationRow.tsx';
import { endOfGeneration, type GenerationLife } from './lifespans.ts';
import { Overview } from './overview.tsx';
import {
	branch,
	chosen,
	endOfHistory,
	goTo,
	index,
	isFollowing,
	isGone,
	onDrop,
	settled,
	source,
	startOfHistory,
	timeline,
	timeShown,
	total,
	view,
} from './store.ts';
import { containing, pannedBy, type TimeSpan, usualSpan, wholeSpan, zoomedBy } from './timeSpan.ts';
import { clockTime, exactTime, timeBeside } from './times.ts';
import { useWidth } from './useWidth.ts';

/** The generations whose children are shown, by the index of their first entry. */
const opened = signal<ReadonlySet<number>>(new Set());

effect(() => {
	onDrop.value;
	opened.value = new Set();
});

/** The width of the names of the rows, in pixels. */
const gutter = 150;

/**
 * The span that is shown. The one that the page chooses depends on the end of the history alone: a selected moment outside
 * it moves it, and never rescales it. While a live supervisor is paused at a moment, its end stands still.
 */
export function spanShown(): TimeSpan {
	const { lives } = timeline();
	const first = startOfHistory();
	const end = Math.max(first, endOfHistory());
	const isWritten = !branch.value && source.value?.isWritten === true;
	const usual = usualSpan({ generations: lives.generations, first, last: end, isLive: isWritten });
	return isFollowing.value ? (view.value ?? usual) : containing(timeShown(), view.value ?? usual);
}

/** The longest span that can be shown, in milliseconds. */
function longest(): number {
	return Math.max(60_000, 4 * (endOfHistory() - startOfHistory()));
}

/** More rows than these are not drawn; the overview shows all rotations. */
const mostRows = 150;

export function Timeline() {
	const room = useRef<HTMLDivElement>(null);
	const width = Math.max(100, useWidth(room) - gutter - 14);
	total.value;
	const span = spanShown();
	const now = timeShown();
	const shown = timeline();
	const scale = width / Math.max(1, span.to - span.from);
	const x = (time: number) => (time - span.from) * scale;
	const timeAt = (clientX: number) =>
		span.from + (clientX - (room.current?.getBoundingClientRect().left ?? 0) - gutter) / scale;
	const look = useRef({ span, timeAt });
	look.current = { span, timeAt };

	useEffect(() => {
		const wheel = (event: WheelEvent) => {
			if ((event.target as Element).closest('.row-name')) return;
			event.preventDefault();
			const { span, timeAt } = look.current;
			const length = span.to - span.from;
			view.value =
				Math.abs(event.deltaX) > Math.abs(event.deltaY)
					? pannedBy((event.deltaX / 600) * length, span)
					: zoomedBy(1.0015 ** event.deltaY, span, timeAt(event.clientX), longest());
		};
		room.current?.addEventListener('wheel', wheel, { passive: false });
		return () => room.current?.removeEventListener('wheel', wheel);
	}, []);

	const all = shown.lives.generations.filter((life) => isInSpan(life, span)).reverse();
	const rows = all.slice(0, mostRows);
	const drawn: Drawn = {
		x,
		width,
		at: settled.value,
		now,
		lastAt: shown.timeAt(shown.entries.length - 1),
		isGone: isGone.value,
	};
	const entry = shown.entries[index.value];
	if (!entry)
		return (
			<section class="timeline" aria-labelledby="timeline-title" ref={room}>
				<h2 id="timeline-title">Timeline</h2>
				<p class="quiet none">No event yet.</p>
			</section>
		);
	const travel = (event: PointerEvent) => goTo(Math.max(0, shown.indexAt(timeAt(event.clientX))));

	return (
		<section class="timeline" aria-labelledby="timeline-title" ref={room}>
			<header>
				<h2 id="timeline-title">Timeline</h2>
				<span class="quiet">
					{timeBeside(span.from, now)} – {clockTime(span.to)} ({duration(span.to - span.from)})
				</span>
				<span class="tools">
					<Tool label="Earlier" text="‹" act={() => pannedBy((span.from - span.to) * 0.4, span)} />
					<Tool label="Later" text="›" act={() => pannedBy((span.to - span.from) * 0.4, span)} />
					<Tool label="Show a longer time" text="−" act={() => zoomedBy(1.6, span, now, longest())} />
					<Tool label="Show a shorter time" text="+" act={() => zoomedBy(1 / 1.6, span, now, longest())} />
					<Tool label="Fit all of the history in" text="Fit" act={() => wholeSpan(startOfHistory(), endOfHistory())} />
					<Tool label="Reset to the time that the page chooses" text="Reset" act={() => null} />
				</span>
			</header>
			<div class="history" style={{ width: `${gutter + width}px`, gridTemplateColumns: `${gutter}px ${width}px` }}>
				<span class="quiet">whole history</span>
				<Overview span={span} />
			</div>
			<div style={{ paddingLeft: `${gutter}px` }}>
				<Axis span={span} width={width} x={x} drag={(pixels) => (view.value = pannedBy(-pixels / scale, span))} />
			</div>
			<div
				class="rows"
				onPointerDown={(event) => {
					if ((event.target as Element).closest('.row-name')) return;
					event.currentTarget.setPointerCapture(event.pointerId);
					const bar = (event.target as Element).closest<SVGElement>('[data-child]');
					if (bar) chosen.value = { generation: Number(bar.dataset.generation), child: Number(bar.dataset.child) };
					travel(event);
				}}
				onPointerMove={(event) =>
					event.buttons === 1 && event.currentTarget.hasPointerCapture(event.pointerId) && travel(event)
				}
			>
				<div class="whole-rows">
					<div class="row-of">
						<span class="row-name quiet">supervisor</span>
						<Marks {...drawn} />
					</div>
					{rows.map((life) => (
						<GenerationRow
							key={life.started.index}
							life={life}
							isOpen={opened.value.has(life.started.index)}
							isChosen={chosen.value.generation === life.generation}
							toggle={() => (opened.value = toggled(opened.value, life.started.index))}
							{...drawn}
						/>
					))}
					{all.length > rows.length && (
						<p class="quiet none">{all.length - rows.length} older generations in this time: zoom in to see them.</p>
					)}
					{rows.length === 0 && <p class="quiet none">Nothing in this time.</p>}
					<div
						class="strip"
						style={{ left: `${gutter}px`, width: `${width}px` }}
						role="slider"
						tabIndex={0}
						aria-label="The moment shown: drag, or use the arrow keys"
						aria-valuemin={0}
						aria-valuemax={Math.max(0, total.value - 1)}
						aria-valuenow={Math.max(0, index.value)}
						aria-valuetext={entry ? `event ${entry.fact.seq}, ${exactTime(now)}` : 'no event yet'}
					>
						<svg width={width} height="100%" aria-hidden="true">
							<Gaps {...drawn} span={span} />
							<rect class="future" x={x(now)} y={0} width={Math.max(0, width - x(now))} height="100%" />
							<line class="cursor" x1={x(now)} x2={x(now)} y1={0} y2="100%" />
						</svg>
					</div>
				</div>
			</div>
		</section>
	);
}

function Tool({ label, text, act }: { label: string; text: string; act: () => TimeSpan | null }) {
	return (
		<button type="button" aria-label={label} title={label} onClick={() => (view.value = act())}>
			{text}
		</button>
	);
}

/** The times without a supervisor: nobody recorded what happened. */
function Gaps({ x, width, lastAt, isGone, span }: Drawn & { span: TimeSpan }) {
	const { beginnings } = timeline().lives;
	const gaps = beginnings
		.filter(({ gap, at }) => gap > 0 && at >= span.from && at - gap <= span.to)
		.map(({ at, gap }) => [at - gap, at] as const);
	const all = isGone && lastAt < span.to ? [...gaps, [lastAt, span.to] as const] : gaps;
	return (
		<>
			<defs>
				<pattern id="no-supervisor" width="8" height="8" patternTransform="rotate(45)" patternUnits="userSpaceOnUse">
					<rect width="8" height="8" class="blank" />
					<rect width="2" height="8" class="stripe" />
				</pattern>
			</defs>
			{all.map(([from, to]) => {
				const [left, right] = [Math.max(-2, x(from)), Math.min(width + 2, x(to))];
				return (
					<rect key={from} class="gap" x={left} y={0} width={Math.max(2, right - left)} height="100%">
						<title>{`No supervisor: not known, ${duration(to - from)}`}</title>
					</rect>
				);
			})}
		</>
	);
}

function isInSpan(life: GenerationLife, { from, to }: TimeSpan): boolean {
	if (life.started.at > to) return false;
	const end = endOfGeneration(life) ?? (life.children.length === 0 ? (life.result ?? life.started) : null);
	return end === null || end.at >= from;
}

function toggled(set: ReadonlySet<number>, each: number): ReadonlySet<number> {
	const next = new Set(set);
	if (!next.delete(each)) next.add(each);
	return next;
}
