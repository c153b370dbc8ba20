/** The root of the inspector's page: header, keys, and the worker's messages. */
import { batch, signal } from '@preact/signals';
import { render } from 'preact';
import { usualPlan } from '../machines/facts/facts.ts';
import { Actors } from './actors.tsx';
import { Charts } from './charts.tsx';
import { Facts } from './factList.tsx';
import { Rotations } from './rotationList.tsx';
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
	isFollowing,
	isWatching,
	problem,
	progress,
	show,
	source,
	timeline,
	total,
} from './store.ts';
import { Timeline } from './timelineView.tsx';
import { clockTime } from './times.ts';
import { WhatIf } from './whatIf.tsx';
import type { Told } from './worker.ts';

const help = signal(false);

function Page() {
	return (
		<div class={branch.value ? 'page imagined' : 'page'}>
			<Head />
			{help.value && <Help />}
			{connection.value === 'loading' && progress.value > 0 && progress.value < 1 && (
				<label class="loading">
					Reading the journal: {Math.round(progress.value * 100)} %, {total.value} facts{' '}
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
				<div class="side">
					<Actors />
					<Rotations />
					<WhatIf />
				</div>
				<Charts />
				<Facts />
			</main>
		</div>
	);
}

function Head() {
	const { entries } = timeline();
	const entry = entries[index.value];
	const after = branch.value?.after ?? null;
	const name = `${after === null ? '' : `imagined after fact ${after} of `}${source.value?.name ?? ''}`;
	return (
		<header class="head">
			<h1>
				socketmaster <span class="quiet">inspector</span>
			</h1>
			<p class="source" title={name}>
				{name}
				{!branch.value && source.value?.listeners.map(({ uri, address }) => <span key={uri}> {address || uri}</span>)}
			</p>
			<p class="moment" data-testid="moment" aria-live="polite">
				<Moment />
			</p>
			<nav aria-label="Time travel">
				<button type="button" aria-label="To the first fact" disabled={index.value <= 0} onClick={() => goTo(0)}>
					|◀
				</button>
				<button type="button" aria-label="One fact back" disabled={index.value <= 0} onClick={() => go(-1)}>
					◀
				</button>
				<button type="button" aria-label="One fact on" disabled={isFollowing.value} onClick={() => go(1)}>
					▶
				</button>
				<button type="button" class="main" aria-pressed={isFollowing.value} onClick={() => goTo(null)}>
					{branch.value ? 'newest' : 'live'}
				</button>
			</nav>
			<button
				type="button"
				disabled={!entry}
				onClick={openStately}
				title="Sends this session to stately.ai, in a window of its own"
			>
				Stately Inspector ↗
			</button>
			<button
				type="button"
				aria-expanded={help.value}
				onClick={() => {
					help.value = !help.value;
				}}
			>
				Keys
			</button>
		</header>
	);
}

function Moment() {
	const { entries } = timeline();
	const fact = entries[index.value]?.fact;
	if (!fact) return <>{connection.value === 'loading' ? 'loading' : 'no fact yet'}</>;
	const where = `fact ${fact.seq} of ${entries.at(-1)?.fact.seq}, ${clockTime(fact.at)}`;
	const isOver = !branch.value && !source.value?.isWritten;
	if (branch.value) return <span class="pill imagined">✎ imagined, {where}</span>;
	const lost = connection.value === 'lost' ? '; ⚠ connection lost, trying again' : '';
	if (!isFollowing.value)
		return (
			<span class="pill past">
				paused at {where}
				{lost}
			</span>
		);
	if (lost)
		return (
			<span class="pill lost">
				{where}
				{lost}
			</span>
		);
	if (connection.value === 'loading') return <span class="pill">… reading, {where}</span>;
	if (connection.value === 'ended') return <span class="pill lost">■ the end, {where}</span>;
	if (isOver) return <span class="pill over">■ no supervisor writes here any more, {where}</span>;
	return <span class="pill live">● live, {where}</span>;
}

function Help() {
	const keys = [
		['← →', 'one fact back, or on'],
		['Shift ← →', 'to the rotation before, or the next one'],
		['Home, End', 'to the first fact, to the newest'],
		['L', 'live: follow the newest fact'],
		['/', 'filter the facts'],
		['↑ ↓', 'in the list of facts: one row up, or down; in a chart: the state or way before, or after'],
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

/** Loads the module on first use. */
async function openStately() {
	const { handToStately } = await import('./stately.ts');
	handToStately(timeline(), index.value);
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
	const slots = timeline().lives.generations.map(({ started }) => started.index);
	const next =
		direction > 0 ? slots.find((place) => place > index.value) : slots.findLast((place) => place < index.value);
	if (next !== undefined) goTo(next);
}

function listen() {
	const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
	worker.onmessage = ({ data }: MessageEvent<Told>) =>
		batch(() => {
			switch (data.type) {
				case 'begins':
					// The server was restarted. A simulation is kept in the page only, so it continues.
					if (data.source.isImagined && source.value?.isImagined) break;
					problem.value = null;
					progress.value = 0;
					begin(data.source);
					if (data.source.isImagined) imagineFromNothing({ ...usualPlan, drain: 'TERM' });
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
					connection.value = 'live';
					show();
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
	worker.onerror = ({ message }) => {
		connection.value = 'ended';
		problem.value = `The page can’t go on: ${message}`;
	};
}

/** Interval at which the page is redrawn while time passes, in milliseconds. */
const tick = 200;

setInterval(() => {
	if (!document.hidden && isWatching()) clock.value = Date.now();
}, tick);
document.addEventListener('keydown', onKey);
render(<Page />, document.getElementById('page') as HTMLElement);
listen();
