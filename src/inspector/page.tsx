/** The root of the inspector's page: its parts, its keys, and the worker's messages. */
import { batch } from '@preact/signals';
import { render } from 'preact';
import { usualPlan } from '../machines/facts/facts.ts';
import { followReport } from './attached.ts';
import { Detail } from './detail.tsx';
import { Events } from './eventList.tsx';
import { followTitle, Head, HealthStrip, help } from './header.tsx';
import { Rotations } from './rotationList.tsx';
import { followAddress, select } from './selection.ts';
import {
	append,
	begin,
	branch,
	clock,
	connection,
	go,
	goTo,
	imagineFromNothing,
	index,
	isGone,
	isLive,
	problem,
	progress,
	show,
	source,
	timeline,
	total,
} from './store.ts';
import { Timeline } from './timelineView.tsx';
import { WhatIfBar } from './whatIfBar.tsx';
import type { Told } from './worker.ts';

/** The build of the page: an older worker of the same address must not serve it. */
declare const SOCKETMASTER_BUILD: string;

function Page() {
	return (
		<div class={branch.value ? 'page imagined' : 'page'}>
			<Head />
			<WhatIfBar />
			<HealthStrip />
			{help.value && <Help />}
			{connection.value === 'loading' && progress.value > 0 && progress.value < 1 && (
				<label class="loading">
					Reading the journal: {Math.round(progress.value * 100)} %, {total.value} events{' '}
					<progress value={progress.value} max={1} />
				</label>
			)}
			{problem.value && (
				<p class="problem" role="alert">
					{problem.value}
				</p>
			)}
			<main>
				<Timeline />
				<Rotations />
				<Detail />
				<Events />
			</main>
		</div>
	);
}

function Help() {
	const keys = [
		['← →', 'one event back, or on'],
		['Shift ← →', 'to the rotation before, or the next one'],
		['Home, End', 'to the first event, to the newest'],
		['L', 'live: follow the newest event'],
		['/', 'filter the events'],
		['↑ ↓', 'in a list: one row up, or down; in a chart: the state or transition before, or after'],
		['→ ←', 'in the list of events: show, or hide, the decisions that an event led to'],
		['Tab', 'from one part of the page to the next'],
		['?, Esc', 'this list'],
	];
	return (
		<section class="help" aria-label="Keys">
			<dl>
				{keys.map(([key, words]) => (
					<div key={key}>
						<dt>
							<kbd>{key}</kbd>
						</dt>
						<dd>{words}</dd>
					</div>
				))}
			</dl>
		</section>
	);
}

function onKey(event: KeyboardEvent) {
	const { target, key } = event;
	if (event.ctrlKey || event.metaKey || event.altKey) return;
	if (target instanceof HTMLElement && /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
	const acts: Record<string, () => void> = {
		ArrowLeft: () => (event.shiftKey ? goToRotation(-1) : go(-1)),
		ArrowRight: () => (event.shiftKey ? goToRotation(1) : go(1)),
		Home: () => goTo(0),
		End: () => goTo(null),
		l: () => goTo(null),
		L: () => goTo(null),
		'/': () => document.getElementById('filter')?.focus(),
		Escape: () => {
			help.value = false;
		},
		'?': () => {
			help.value = !help.value;
		},
	};
	const act = acts[key];
	if (!act) return;
	event.preventDefault();
	act();
}

/** Goes to the start of the previous or the next rotation. */
function goToRotation(direction: 1 | -1) {
	const { generations } = timeline().lives;
	const isBeyond = ({ started }: (typeof generations)[number]) =>
		direction > 0 ? started.index > index.value : started.index < index.value;
	const next = direction > 0 ? generations.find(isBeyond) : generations.findLast(isBeyond);
	if (next) select(next.generation, next.started.index);
}

function listen() {
	const url = new URL(`./worker.js?${SOCKETMASTER_BUILD}`, import.meta.url);
	const shared = 'SharedWorker' in window ? new SharedWorker(url, { type: 'module' }) : null;
	const worker = shared ?? new Worker(url, { type: 'module' });
	const port = shared?.port ?? (worker as Worker);
	addEventListener('pagehide', () => shared?.port.postMessage('bye'));
	addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
	port.onmessage = ({ data }: MessageEvent<Told>) =>
		batch(() => {
			switch (data.type) {
				case 'begins':
					// The server was restarted. A simulation is kept in the page only, so it continues.
					if (data.source.isImagined && source.value?.isImagined) break;
					problem.value = null;
					progress.value = 0;
					begin(data.source, data.dropped);
					if (data.source.isImagined) imagineFromNothing(usualPlan);
					break;
				case 'goesOn':
					source.value = data.source;
					break;
				case 'entries':
					progress.value = data.progress;
					if (connection.value !== 'loading') connection.value = 'live';
					append(data.entries);
					break;
				case 'live':
					if (connection.value !== 'live') {
						connection.value = 'live';
						show();
					}
					break;
				case 'waits':
					problem.value = `${data.why}. The page goes on when a supervisor answers.`;
					break;
				case 'lost':
					connection.value = 'lost';
					break;
				case 'ended':
					connection.value = 'ended';
					problem.value = data.why;
					show();
			}
		});
	worker.onerror = (event) => {
		const message = event instanceof ErrorEvent ? event.message : 'its worker could not be started';
		connection.value = 'ended';
		problem.value = `The page can’t go on: ${message}`;
	};
}

/** Interval at which the page is redrawn while time passes, in milliseconds. */
const tick = 1000;

/** The same of a supervisor that is gone: only "ago" changes. */
const goneTick = 60_000;

setInterval(() => {
	const isDue = isLive.value || (isGone.value && Date.now() - clock.value >= goneTick);
	if (!document.hidden && isDue) clock.value = Date.now();
}, tick);
document.addEventListener('keydown', onKey);
render(<Page />, document.getElementById('page') as HTMLElement);
followTitle();
followAddress();
followReport();
listen();
