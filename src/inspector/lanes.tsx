/** The parts of the timeline: a band for each rotation, the supervisor's states and marks, a bar for each child. */
import { type ChildLife, type GenerationLife, type Instant, nameAt, phaseAt, resultAt } from './lifespans.ts';
import { toneOf } from './statecharts.ts';
import { branch, index, timeline, timeShown } from './store.ts';

export interface Span {
	from: number;
	to: number;
}

/** The height of the row of a child, in pixels. */
export const lane = 24;

interface Drawn {
	x: (time: number) => number;
	isCrowded: boolean;
}

/** A rotation, from the start of its generation to its result. */
export function Band({
	life,
	x,
	at,
	now,
	height,
	isCrowded,
}: Drawn & { life: GenerationLife; at: number; now: number; height: number }) {
	const result = resultAt(life, at);
	if (result === null) return null;
	const end = result === 'pending' ? now : (life.result?.at ?? now);
	const words = { pending: '…', promoted: '✔', failed: '✘', stopped: '■', left: '–', unknown: '?' }[result];
	const width = Math.max(1.5, x(end) - x(life.started.at));
	return (
		<g class={`band ${result}`}>
			<rect x={x(life.started.at)} y={22} width={width} height={height - 22} />
			{!isCrowded && (
				<text x={x(life.started.at) + 3} y={56}>
					{life.generation} {words}
				</text>
			)}
			<title>{`generation ${life.generation}: ${result}`}</title>
		</g>
	);
}

/** The supervisor's states, and marks for its starts, checkpoints and received requests. */
export function Supervisor({ x, span, width, isCrowded }: Drawn & { span: Span; width: number }) {
	const { states, marks } = timeline().lives;
	const at = index.value;
	const now = timeShown();
	const inSight = (from: number, to: number) => from <= span.to && to >= span.from;
	return (
		<g class="supervisor">
			{states.map(({ state, at: from, index: place }, order) => {
				const next = states[order + 1];
				const to = next && next.index <= at ? next.at : Math.max(now, from);
				if (place > at || !inSight(from, to)) return null;
				const name = state.split('.').at(-1) ?? '';
				const [left, right] = [Math.max(-4, x(from)), Math.min(width + 4, x(to))];
				return (
					<g key={place} class={`segment ${toneOf(name)}`}>
						<rect x={left} y={2} width={Math.max(1, right - left)} height={18} rx="3" />
						{right - left > name.length * 7 + 8 && (
							<text x={left + 5} y={15}>
								{name}
							</text>
						)}
						<title>{`supervisor: ${name}`}</title>
					</g>
				);
			})}
			{!isCrowded &&
				marks.map(({ label: word, at: time, index: place }, order) => {
					const label = branch.value && place === 0 && branch.value.after !== null ? 'imagined from here' : word;
					if (place > at || !inSight(time, time)) return null;
					// If the next mark is too close, the label is omitted.
					const next = marks[order + 1];
					const hasRoom = !next || next.index > at || x(next.at) - x(time) > label.length * 7 + 12;
					return (
						<g key={place} class="told">
							<path d={`M${x(time)} 21l-4 8h8z`} />
							{hasRoom && (
								<text x={x(time) + 6} y={35}>
									{label}
								</text>
							)}
							<title>{label}</title>
						</g>
					);
				})}
		</g>
	);
}

interface BarProps extends Drawn {
	life: ChildLife;
	y: number;
	width: number;
	at: number;
	now: number;
}

/** A child from its spawn to its exit: its phases, and the signals that it received. */
export function Bar({ life, x, y, width, at, now, isCrowded }: BarProps) {
	const phase = phaseAt(life, at);
	if (phase === null) return null;
	const isKnown = (instant: Instant) => instant.index <= at;
	const end = life.end && isKnown(life.end) ? life.end : null;
	const segments = life.segments.filter(isKnown);
	const name = nameAt(life, at);
	return (
		<g class="bar" data-child={life.child} data-generation={life.generation}>
			{segments.map((segment, order) => {
				const to = segments[order + 1]?.at ?? end?.at ?? now;
				const [left, right] = [Math.max(-6, x(segment.at)), Math.min(width + 6, x(to))];
				const size = Math.max(1.5, right - left);
				const words = order === 0 || size > 130 ? `${name} ${segment.phase}` : segment.phase;
				return (
					<g key={order} class={`segment ${toneOf(segment.phase)} ${segment.phase}`}>
						<rect x={left} y={y} width={size} height={lane - 6} rx="3" />
						{toneOf(segment.phase) === 'leaving' && (
							<rect class="hatched" x={left} y={y} width={size} height={lane - 6} rx="3" />
						)}
						{!isCrowded && size > words.length * 6.6 + 8 && (
							<text x={left + 5} y={y + 13}>
								{words}
							</text>
						)}
					</g>
				);
			})}
			{!isCrowded &&
				life.signals.filter(isKnown).map(({ signal, at: time, reason }, order) => (
					<g key={order} class="sent">
						<path d={`M${x(time)} ${y + lane - 7}l-4 6h8z`} />
						<title>{`SIG${signal} (${reason})`}</title>
					</g>
				))}
			{end && !isCrowded && <path class="end" d={`M${x(end.at)} ${y - 1}v${lane - 4}`} />}
			<title>{`child ${life.child} of generation ${life.generation}, ${name}: ${phase}${end ? `, ${end.how}` : ''}`}</title>
		</g>
	);
}
