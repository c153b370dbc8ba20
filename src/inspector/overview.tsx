/** The whole journal in one strip: the rotations' results, the times in which nobody served, and what the timeline shows. */
import { useRef } from 'preact/hooks';
import { keptRotations } from './attached.ts';
import { resultAt } from './lifespans.ts';
import { endOfHistory, goTo, index, startOfHistory, timeline, timeShown, total, view } from './store.ts';
import { pannedBy, type TimeSpan, wholeSpan } from './timeSpan.ts';
import { useWidth } from './useWidth.ts';

const height = 24;

export function Overview({ span }: { span: TimeSpan }) {
	const room = useRef<HTMLDivElement>(null);
	const width = useWidth(room);
	total.value;
	const { entries, lives } = timeline();
	const last = Math.max(timeline().timeAt(entries.length - 1), endOfHistory());
	const whole = wholeSpan(startOfHistory(), last);
	const scale = width / (whole.to - whole.from);
	const x = (time: number) => (time - whole.from) * scale;
	const travel = (event: PointerEvent, isTravel: boolean) => {
		const { left } = (event.currentTarget as Element).getBoundingClientRect();
		const at = whole.from + (event.clientX - left) / scale;
		view.value = pannedBy(at - (span.from + span.to) / 2, span);
		if (isTravel) goTo(timeline().indexAt(at));
	};
	const [from, to] = [Math.max(0, x(span.from)), Math.min(width, x(span.to))];
	return (
		<div class="overview" ref={room}>
			<svg
				width={width}
				height={height}
				role="img"
				aria-label={`The whole history: ${lives.generations.length} rotations`}
				onPointerDown={(event) => {
					event.currentTarget.setPointerCapture(event.pointerId);
					travel(event, false);
				}}
				onPointerMove={(event) => event.buttons === 1 && travel(event, false)}
			>
				<Trouble x={x} width={width} last={last} />
				<Results x={x} width={width} />
				<rect class="brush" x={from} y={0.75} width={Math.max(4, to - from)} height={height - 1.5} rx="3" />
				<line class="cursor" x1={x(timeShown())} x2={x(timeShown())} y1={0} y2={height} />
			</svg>
		</div>
	);
}

/** A tick for each rotation. Where several share a place, a failed one is shown. */
function Results({ x, width }: { x: (time: number) => number; width: number }) {
	const places = new Map<number, 'promoted' | 'failed' | 'other'>();
	for (const life of timeline().lives.generations) {
		const place = Math.round(x((life.result ?? life.started).at) / 3) * 3;
		const result = resultAt(life, total.value);
		const kind = result === 'promoted' || result === 'failed' ? result : 'other';
		if (places.get(place) !== 'failed') places.set(place, kind);
	}
	// Rotations from before the facts, as the running supervisor tells of them.
	for (const { result, finishedAt } of keptRotations.value) {
		const place = Math.round(x(finishedAt ?? 0) / 3) * 3;
		if (place >= 0 && !places.has(place)) places.set(place, result === 'failed' ? 'failed' : 'promoted');
	}
	const at = x(timeline().timeAt(index.value));
	return (
		<>
			{[...places].map(([place, kind]) =>
				place < -3 || place > width + 3 ? null : (
					<path
						key={place}
						class={`result ${kind}${place > at + 3 ? ' later' : ''}`}
						d={kind === 'failed' ? `M${place - 4} 7l8 10m0 -10l-8 10` : `M${place} 6v12`}
					/>
				),
			)}
		</>
	);
}

/** The times in which nobody served or no supervisor lived. Those that share a place are one. */
function Trouble({ x, width, last }: { x: (time: number) => number; width: number; last: number }) {
	const { service } = timeline().lives;
	const places: { state: string; left: number; right: number }[] = [];
	service.forEach(({ at, state }, order) => {
		if (state !== 'down' && state !== 'unknown') return;
		const [left, right] = [
			Math.floor(x(at)),
			Math.max(Math.floor(x(at)) + 2, Math.ceil(x(service[order + 1]?.at ?? last))),
		];
		const before = places.at(-1);
		if (before?.state === state && left <= before.right) before.right = Math.max(before.right, right);
		else places.push({ state, left, right: Math.min(width, right) });
	});
	return (
		<>
			{places.map(({ state, left, right }) => (
				<rect key={left} class={`service ${state}`} x={left} y={0} width={right - left} height={height} />
			))}
		</>
	);
}
