/** The statecharts, nested as their actors are, with the active states and the taken and possible transitions. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import childChart from '../../docs/statecharts/child.svg';
import generationChart from '../../docs/statecharts/generation.svg';
import supervisorChart from '../../docs/statecharts/supervisor.svg';
import upgradeChart from '../../docs/statecharts/upgrade.svg';
import { possibleWays } from '../diagram/chart.ts';
import { chartNameOf } from '../diagram/trace.ts';
import { charts, nameOf, stateText } from './statecharts.ts';
import { chosen, index, timeline } from './store.ts';
import type { Standings } from './timeline.ts';

const pictures: Record<string, string> = {
	supervisor: supervisorChart,
	generation: generationChart,
	child: childChart,
	upgrade: upgradeChart,
};

/** The scale of each kind of chart, as a factor of its own size; null fits the whole chart into its container. */
const zoom = signal<Record<string, number | null>>({});

/** The initial scale. The smallest text is still readable. */
const usual = 0.85;

export function Charts() {
	const standings = timeline().standingsAt(index.value);
	const { generation, child } = chosenAt(standings);
	const generations = numbersOf(standings, 'generation');
	const children = childrenOf(generation);
	return (
		<section class="charts" aria-labelledby="charts-title">
			<h2 id="charts-title">Statecharts</h2>
			<Frame actor="supervisor" standings={standings}>
				{generation !== null && (
					<Frame
						actor={`generation.${generation}`}
						standings={standings}
						others={generations}
						choose={(number) => {
							chosen.value = { generation: number, child: null };
						}}
					>
						{child !== null && (
							<Frame
								actor={`child.${child}`}
								standings={standings}
								others={children}
								choose={(number) => {
									chosen.value = { generation, child: number };
								}}
							/>
						)}
					</Frame>
				)}
				{standings.has('upgrade') && <Frame actor="upgrade" standings={standings} />}
			</Frame>
		</section>
	);

	function childrenOf(number: number | null): number[] {
		const life = timeline().lives.generationAt(number ?? -1, index.value);
		return (life?.children ?? []).map((each) => each.child).filter((each) => standings.has(`child.${each}`));
	}
}

/**
 * The generation and the child to show: the chosen ones while they exist, else those that moved in this step, else the
 * newest generation and its first child.
 */
export function chosenAt(standings: Standings): { generation: number | null; child: number | null } {
	const { lives } = timeline();
	const step = timeline().stepOf(index.value);
	const moved = step?.moves.find(({ actor }) => chartNameOf(actor) === 'child');
	const movedChild = moved ? Number(moved.actor.split('.')[1]) : null;
	const movedGeneration = movedChild === null ? null : (lives.childAt(movedChild, index.value)?.generation ?? null);
	const generations = numbersOf(standings, 'generation');
	const isThere = (number: number | null) => number !== null && generations.includes(number);
	const generation = isThere(chosen.value.generation)
		? chosen.value.generation
		: isThere(movedGeneration)
			? movedGeneration
			: (generations.at(-1) ?? null);
	const children = (lives.generationAt(generation ?? -1, index.value)?.children ?? [])
		.map((life) => life.child)
		.filter((number) => standings.has(`child.${number}`));
	const child = children.includes(chosen.value.child ?? -1)
		? chosen.value.child
		: children.includes(movedChild ?? -1)
			? movedChild
			: (children[0] ?? null);
	return { generation, child };
}

function numbersOf(standings: Standings, kind: string): number[] {
	return [...standings.keys()]
		.filter((actor) => chartNameOf(actor) === kind)
		.map((actor) => Number(actor.split('.')[1]))
		.sort((one, other) => one - other);
}

interface FrameProps {
	actor: string;
	standings: Standings;
	/** The numbers of all existing actors of this kind. */
	others?: number[];
	choose?: (number: number) => void;
	children?: ComponentChildren;
}

function Frame({ actor, standings, others = [], choose, children }: FrameProps) {
	const kind = chartNameOf(actor);
	const number = Number(actor.split('.')[1]);
	const standing = standings.get(actor);
	const step = timeline().stepOf(index.value);
	const move = step?.moves.find((each) => each.actor === actor);
	const scale = zoom.value[kind] === undefined ? usual : zoom.value[kind];
	const enlarge = (by: number | null) => {
		zoom.value = { ...zoom.value, [kind]: by === null ? null : Math.min(3, Math.max(0.25, (scale ?? usual) * by)) };
	};
	return (
		<article class={`frame ${kind}`} aria-label={nameOf(actor)}>
			<header>
				<h3>
					{others.length > 1 && choose ? (
						<label>
							<span class="quiet">{kind} </span>
							<select value={number} onChange={(event) => choose(Number(event.currentTarget.value))}>
								{others.map((other) => (
									<option key={other} value={other}>
										{other}
									</option>
								))}
							</select>
						</label>
					) : (
						nameOf(actor)
					)}
				</h3>
				<p class="stands" data-testid={`stands-${kind}`}>
					{standing ? stateText(standing.state) : 'not there'}
				</p>
				<span class="tools">
					<button type="button" aria-label={`Make the chart of the ${kind} smaller`} onClick={() => enlarge(0.8)}>
						−
					</button>
					<button type="button" aria-label={`Make the chart of the ${kind} larger`} onClick={() => enlarge(1.25)}>
						+
					</button>
					<button type="button" aria-label={`Fit all of the chart of the ${kind} in`} onClick={() => enlarge(null)}>
						Fit
					</button>
				</span>
			</header>
			<Picture kind={kind} state={standing?.state ?? null} taken={move?.ways ?? []} scale={scale} />
			{children && <div class="within">{children}</div>}
		</article>
	);
}

interface PictureProps {
	kind: string;
	state: string | null;
	taken: string[];
	scale: number | null;
}

function Picture({ kind, state, taken, scale }: PictureProps) {
	const room = useRef<HTMLDivElement>(null);
	const tip = useRef<HTMLParagraphElement>(null);

	useLayoutEffect(() => {
		// The Content-Security-Policy refuses the SVG's style element. The page's stylesheet contains the same rules.
		const picture = (pictures[kind] ?? '').replace(/<style>[^<]*<\/style>/, '');
		const parsed = new DOMParser().parseFromString(picture, 'image/svg+xml').documentElement;
		parsed.querySelector('.paper')?.remove();
		parsed.setAttribute('role', 'group');
		parsed.setAttribute('aria-label', parsed.querySelector('title')?.textContent ?? kind);
		parsed.removeAttribute('aria-labelledby');
		parsed.querySelector('title')?.remove();
		let isFirst = true;
		for (const item of itemsIn(parsed)) {
			const title = item.querySelector('title');
			item.dataset.words = title?.textContent ?? '';
			title?.remove();
			item.setAttribute('role', 'img');
			// The tab key stops once in each chart. The arrow keys move between its items.
			item.setAttribute('tabindex', isFirst ? '0' : '-1');
			isFirst = false;
		}
		room.current?.replaceChildren(parsed);
	}, [kind]);

	useLayoutEffect(() => {
		const svg = room.current?.firstElementChild as SVGSVGElement | null;
		if (svg) light(svg, kind, state, taken);
	}, [kind, state, taken.join(' ')]);

	useLayoutEffect(() => {
		const svg = room.current?.firstElementChild as SVGSVGElement | null;
		if (!svg || !room.current) return;
		const { width, height } = svg.viewBox.baseVal;
		const whole = Math.min(room.current.clientWidth / width, (window.innerHeight * 0.6) / height);
		svg.style.width = `${width * (scale ?? whole)}px`;
		bringIntoSight(room.current, svg);
	}, [kind, state, taken.join(' '), scale]);

	const show = (event: Event) => {
		const item = (event.target as Element).closest<SVGElement>('[data-words]');
		if (tip.current) tip.current.textContent = item?.getAttribute('aria-label') ?? '';
	};

	const walk = (event: KeyboardEvent) => {
		const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
		if (step === 0) return;
		const items = itemsIn(event.currentTarget as Element);
		const next = items[items.indexOf(document.activeElement as SVGElement) + step];
		if (!next) return;
		event.preventDefault();
		for (const item of items) item.setAttribute('tabindex', item === next ? '0' : '-1');
		next.focus();
	};

	return (
		<>
			<p class="tip" ref={tip} aria-hidden="true" />
			<div class="room" ref={room} onMouseOver={show} onFocusIn={show} onKeyDown={walk} data-chart={kind} />
		</>
	);
}

/** Scrolls the container to the active state. Unlike scrollIntoView, this does not scroll the page. */
function bringIntoSight(room: HTMLElement, svg: SVGSVGElement) {
	const items = [...svg.querySelectorAll('.state.active')];
	const item = items.at(-1);
	if (!item) return;
	const [around, own] = [room.getBoundingClientRect(), item.getBoundingClientRect()];
	room.scrollBy(
		own.left + own.width / 2 - around.left - around.width / 2,
		own.top + own.height / 2 - around.top - around.height / 2,
	);
}

function itemsIn(element: Element): SVGElement[] {
	return [...element.querySelectorAll<SVGElement>('g[tabindex], [data-words]')];
}

/** Marks active states, taken transitions and possible transitions, by CSS classes and by labels. */
function light(svg: SVGSVGElement, kind: string, state: string | null, taken: string[]) {
	const chart = charts.get(kind);
	const next = new Set(chart && state !== null ? possibleWays(chart, state).map(({ id }) => id) : []);
	const isActive = (id: string) => state !== null && (id === '' || state === id || state.startsWith(`${id}.`));
	const sources = new Set(taken.map((way) => way.split('|')[0]));
	for (const item of svg.querySelectorAll<SVGElement>('[data-state]')) {
		const active = isActive(item.dataset.state ?? '-');
		item.classList.toggle('active', active);
		say(item, active ? 'active now' : '');
	}
	for (const item of svg.querySelectorAll<SVGElement>('[data-ways]')) {
		const ways = (item.dataset.ways ?? '').split(' ');
		const isTaken = ways.some((way) => taken.includes(way));
		const isPossible = ways.some((way) => next.has(way));
		item.classList.toggle('taken', isTaken);
		item.classList.toggle('possible', isPossible);
		say(item, isTaken ? 'just taken' : isPossible ? 'possible next' : '');
		for (const line of item.querySelectorAll<SVGElement>('path[data-from]')) {
			const from = line.dataset.from ?? '-';
			line.classList.toggle('off', isTaken ? !sources.has(from) : !isActive(from));
		}
	}
}

function say(item: SVGElement, mark: string) {
	const words = item.dataset.words ?? '';
	item.setAttribute('aria-label', mark === '' ? words : `${words} (${mark})`);
}
