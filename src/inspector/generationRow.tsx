/** A row of the timeline: how many children of a generation boot, serve and leave; opened, a row for each child. */
import { keptRotations } from './attached.ts';
import { childText } from './condition.ts';
import { type ChildLife, type GenerationLife, kindOf, nameAt, resultAt, stepsOf } from './lifespans.ts';
import { chosen, goTo } from './store.ts';

export interface Drawn {
	x: (time: number) => number;
	/** The width of the drawing, in pixels. */
	width: number;
	/** The index of the entry after which it is drawn. */
	at: number;
	/** The time shown, and the time of the last entry. In milliseconds since 1970. */
	now: number;
	lastAt: number;
	/** No supervisor lives any more: what follows the last entry is not known. */
	isGone: boolean;
}

/** The height of a row, in pixels. */
const height = 22;
const childHeight = 16;

/** An opened generation shows at most the last children in the time shown. */
const mostChildren = 130;

interface RowProps extends Drawn {
	life: GenerationLife;
	isOpen: boolean;
	isChosen: boolean;
	toggle: () => void;
}

export const marks = { pending: '…', promoted: '✔', failed: '✘', stopped: '■', left: '–', unknown: '?' };

export function GenerationRow({ life, isOpen, isChosen, toggle, ...drawn }: RowProps) {
	const { at, x, width } = drawn;
	const isSeen = ({ segments, end }: ChildLife) => x(segments[0]?.at ?? 0) <= width && (end === null || x(end.at) >= 0);
	const isLater = life.started.index > at;
	const known = resultAt(life, at) ?? 'pending';
	// A snapshot does not tell the result of a generation that drains; the running supervisor does.
	const kept =
		known === 'left' ? keptRotations.value.find(({ generation }) => generation === life.generation) : undefined;
	const result = kept?.result ?? known;
	return (
		<>
			<div class={`row-of${isLater ? ' later' : ''}${isChosen ? ' chosen' : ''}`}>
				<span class="row-name">
					<button
						type="button"
						class="open"
						aria-expanded={isOpen}
						aria-label={`Children of generation ${life.generation}`}
						onClick={toggle}
					>
						{isOpen ? '▾' : '▸'}
					</button>
					<button
						type="button"
						class="link"
						onClick={() => {
							chosen.value = { generation: life.generation, child: null };
							if (isLater) goTo(life.result?.index ?? life.started.index);
						}}
					>
						gen {life.generation} <span class={`mark ${result}`}>{isLater ? '' : marks[result]}</span>
					</button>
				</span>
				<Area life={life} {...drawn} />
			</div>
			{isOpen &&
				life.children
					.filter(isSeen)
					.slice(-mostChildren)
					.map((child) => (
						<div class={`row-of child${isLater ? ' later' : ''}`} key={`${child.child}`}>
							<span class="row-name quiet">
								{child.slot}: {nameAt(child, at)}
							</span>
							<Bar life={child} {...drawn} />
						</div>
					))}
		</>
	);
}

/** The parts of the generation's children that boot, serve and leave, as filled areas over time. */
function Area({ life, x, width, at, now, lastAt, isGone }: Drawn & { life: GenerationLife }) {
	// What is after the moment is drawn too; the timeline dims it.
	const steps = stepsOf(life, Number.POSITIVE_INFINITY);
	const end = isGone ? lastAt : Math.max(now, lastAt);
	const size = steps.reduce(
		(most, { coming, serving, leaving }) => Math.max(most, coming + serving + leaving),
		Math.max(1, life.size),
	);
	const result = resultAt(life, at);
	const place = life.result ? x(life.result.at) : null;
	const begin = steps[0]?.at ?? life.started.at;
	return (
		<svg class="area" width={width} height={height} role="img" aria-label={rowText(life, at)}>
			<line class="base" x1={x(begin)} x2={x(end)} y1={height - 0.5} y2={height - 0.5} />
			<path class="coming" d={areaOf(steps, end, (step) => step.coming / size, x, width)} />
			<path class="leaving" d={areaOf(steps, end, (step) => step.leaving / size, x, width)} />
			<path class="serving" d={areaOf(steps, end, (step) => step.serving / size, x, width)} />
			{place !== null &&
				life.result &&
				['promoted', 'failed', 'stopped'].includes(life.result.kind) &&
				place >= -1 &&
				place < width + 10 && (
					<text class={`verdict ${life.result.kind}`} x={Math.min(width - 12, place + 3)} y={15}>
						{marks[life.result.kind]}
					</text>
				)}
			<title>{`generation ${life.generation}: ${result ?? 'later'}`}</title>
		</svg>
	);
}

/** The outline of a part of the children over time, as an SVG path. */
function areaOf(
	steps: ReturnType<typeof stepsOf>,
	end: number,
	partOf: (step: ReturnType<typeof stepsOf>[number]) => number,
	x: (time: number) => number,
	width: number,
): string {
	const parts: string[] = [];
	const clamp = (place: number) => Math.min(width + 4, Math.max(-4, place));
	steps.forEach((step, order) => {
		const part = partOf(step);
		if (part === 0) return;
		const [left, right] = [clamp(x(step.at)), clamp(x(steps[order + 1]?.at ?? end))];
		if (right < 0 || left > width) return;
		const top = height - 1 - (height - 4) * Math.min(1, part);
		parts.push(
			`M${left.toFixed(1)} ${height - 1}V${top.toFixed(1)}H${Math.max(left + 1, right).toFixed(1)}V${height - 1}z`,
		);
	});
	return parts.join('');
}

function rowText(life: GenerationLife, at: number): string {
	const now = stepsOf(life, at).at(-1) ?? { serving: 0, leaving: 0, coming: 0 };
	return `Generation ${life.generation}: ${now.serving} of ${life.size} serving, ${now.coming} starting, ${now.leaving} draining`;
}

/** A child from its spawn to its exit, with the signals that it received. */
function Bar({ life, x, width, at, now, lastAt, isGone }: Drawn & { life: ChildLife }) {
	const end = life.end?.at ?? (isGone ? lastAt : Math.max(now, lastAt));
	const text = `${nameAt(life, at)}: ${childText(life, at)}`;
	return (
		<svg
			class="bar"
			width={width}
			height={childHeight}
			role="img"
			aria-label={text}
			data-child={life.child}
			data-generation={life.generation}
		>
			{life.segments.map((segment, order) => {
				const to = life.segments[order + 1]?.at ?? end;
				const [left, right] = [Math.max(-6, x(segment.at)), Math.min(width + 6, x(to))];
				return (
					<rect
						key={order}
						class={kindOf(segment.phase)}
						x={left}
						y={2}
						width={Math.max(1.5, right - left)}
						height={childHeight - 5}
					>
						<title>{`${nameAt(life, at)} ${segment.phase}`}</title>
					</rect>
				);
			})}
			{life.signals.map(({ signal, at: time, reason }, order) => (
				<path key={order} class="sent" d={`M${x(time)} ${childHeight - 6}l-3.5 6h7z`}>
					<title>{`SIG${signal} (${reason})`}</title>
				</path>
			))}
			{life.end && <path class="end" d={`M${x(life.end.at)} 0v${childHeight}`} />}
			<title>{text}</title>
		</svg>
	);
}
