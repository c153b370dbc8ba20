/** One statechart at a time, with its active states and its taken and possible transitions. */
import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import childChart from '../../docs/statecharts/child.svg';
import generationChart from '../../docs/statecharts/generation.svg';
import supervisorChart from '../../docs/statecharts/supervisor.svg';
import upgradeChart from '../../docs/statecharts/upgrade.svg';
import { possibleWays } from '../diagram/chart.ts';
import { chartNameOf } from '../diagram/trace.ts';
import { nameAt } from './lifespans.ts';
import { charts, nameOf, stateText } from './statecharts.ts';
import { index, timeline } from './store.ts';
import type { Standings } from './timeline.ts';

const pictures: Record<string, string> = {
	supervisor: supervisorChart,
	generation: generationChart,
	child: childChart,
	upgrade: upgradeChart,
};

/** The actor whose chart is shown; null lets the page choose. */
const shownActor = signal<string | null>(null);
/** The scale of the chart, as a factor of its own size; null fits its width, as long as its text stays legible. */
const zoom = signal<number | null>(null);

const hint = 'Thick edge: active. Pink: just taken. Blue: possible next. Point at a state or a box to see what it is.';

/** The smallest scale that the page chooses: the smallest text of a chart, 12 px, is not smaller than 11 px. */
const smallest = 0.92;

export function Chart() {
	const standings = timeline().standingsAt(index.value);
	const path = pathShown(standings);
	const actor = path.at(-1) ?? 'supervisor';
	const kind = chartNameOf(actor);
	const standing = standings.get(actor);
	const step = timeline().stepOf(index.value);
	const move = step?.moves.find((each) => each.actor === actor);
	const enlarge = (by: number | null) => {
		zoom.value = by === null ? null : Math.min(3, Math.max(0.25, (zoom.value ?? 1) * by));
	};
	return (
		<article class={`frame ${kind}`} aria-label={nameOf(actor)}>
			<nav class="crumbs" aria-label="Actors">
				{[...path, ...below(actor, standings)].map((each, order) => (
					<span key={each}>
						{order > 0 && <span aria-hidden="true">{order < path.length ? ' › ' : ' · '}</span>}
						<button
							type="button"
							aria-current={each === actor}
							onClick={() => {
								shownActor.value = each;
							}}
						>
							{titleOf(each)}
						</button>
					</span>
				))}
				<span class="tools">
					<button type="button" aria-label="Make the chart smaller" onClick={() => enlarge(0.8)}>
						−
					</button>
					<button type="button" aria-label="Make the chart larger" onClick={() => enlarge(1.25)}>
						+
					</button>
					<button type="button" aria-label="Fit the chart in" onClick={() => enlarge(null)}>
						Fit
					</button>
				</span>
			</nav>
			<p class="stands" data-testid="stands">
				{standing ? stateText(standing.state) : '–'}
			</p>
			<Picture kind={kind} state={standing?.state ?? null} taken={move?.ways ?? []} scale={zoom.value} />
		</article>
	);
}

/** From the supervisor down to the actor that is shown: the chosen one while it exists, else the supervisor. */
function pathShown(standings: Standings): string[] {
	const actor = shownActor.value !== null && standings.has(shownActor.value) ? shownActor.value : 'supervisor';
	const [kind, number] = [chartNameOf(actor), Number(actor.split('.')[1])];
	if (kind === 'supervisor') return ['supervisor'];
	if (kind !== 'child') return ['supervisor', actor];
	const generation = timeline().lives.childAt(number, index.value)?.generation;
	return ['supervisor', ...(generation === undefined ? [] : [`generation.${generation}`]), actor];
}

/** The actors that an actor has. */
function below(actor: string, standings: Standings): string[] {
	const kind = chartNameOf(actor);
	if (kind === 'supervisor')
		return [...standings.keys()].filter((each) => ['generation', 'upgrade'].includes(chartNameOf(each)));
	if (kind !== 'generation') return [];
	const { children = [] } = timeline().lives.generationAt(Number(actor.split('.')[1]), index.value) ?? {};
	return children
		.map(({ child }) => `child.${child}`)
		.filter((each) => standings.has(each))
		.slice(0, 100);
}

function titleOf(actor: string): string {
	const [kind, number] = actor.split('.');
	if (kind !== 'child') return nameOf(actor);
	const life = timeline().lives.childAt(Number(number), index.value);
	return life ? `child ${nameAt(life, index.value).replace('child ', '')}` : nameOf(actor);
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
		const { width } = svg.viewBox.baseVal;
		const whole = Math.min(1.3, Math.max(smallest, (room.current.clientWidth - 4) / width));
		svg.style.width = `${width * (scale ?? whole)}px`;
		bringIntoSight(room.current, svg);
	}, [kind, state, taken.join(' '), scale]);

	const show = (event: Event) => {
		const item = (event.target as Element).closest<SVGElement>('[data-words]');
		if (tip.current) tip.current.textContent = item?.getAttribute('aria-label') ?? hint;
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
			<p class="tip" ref={tip} aria-hidden="true">
				{hint}
			</p>
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
