/** The detail of the selection: its story, the statechart at this moment, or the JSON of the fact. */
import { signal } from '@preact/signals';
import { describeEvent } from '../diagram/descriptions.ts';
import type { Rotation } from '../machines/state/rotations.ts';
import { duration } from '../machines/text/duration.ts';
import { ordinal } from '../machines/text/ordinal.ts';
import { keptRotations, report } from './attached.ts';
import { Chart } from './charts.tsx';
import { childText, readyTime } from './condition.ts';
import { actorOf, type Entry } from './entry.ts';
import { endOfGeneration, type GenerationLife, nameAt, phaseAt, resultAt, servedUntil } from './lifespans.ts';
import { nameOf, stateText } from './statecharts.ts';
import { branch, chosen, goTo, index, isFollowing, isGone, settled, timeline, timeShown, view } from './store.ts';
import { clockTime, date, exactTime, timeBeside } from './times.ts';

const tabs = ['Story', 'Statechart', 'JSON'] as const;
const tab = signal<(typeof tabs)[number]>('Story');

export function Detail() {
	const move = (event: KeyboardEvent) => {
		const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
		if (by === undefined || event.shiftKey) return;
		event.preventDefault();
		event.stopPropagation();
		tab.value = tabs[(tabs.indexOf(tab.value) + by + tabs.length) % tabs.length] ?? 'Story';
		document.getElementById(`tab-${tab.value}`)?.focus();
	};
	return (
		<section class="detail" aria-label="Detail">
			<div class="tabs" role="tablist" aria-label="Detail" onKeyDown={move}>
				{tabs.map((name) => (
					<button
						key={name}
						type="button"
						role="tab"
						id={`tab-${name}`}
						aria-selected={tab.value === name}
						aria-controls="tab-panel"
						tabIndex={tab.value === name ? 0 : -1}
						onClick={() => {
							tab.value = name;
						}}
					>
						{name}
					</button>
				))}
			</div>
			<div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab.value}`} tabIndex={0} data-testid="detail">
				{tab.value === 'Story' ? <Story /> : tab.value === 'Statechart' ? <Chart /> : <Json />}
			</div>
		</section>
	);
}

/** The generation that is selected; else that of the moment's fact, the candidate or the serving one. */
export function generationShown(): number | null {
	if (chosen.value.generation !== null) return chosen.value.generation;
	const fact = isFollowing.value ? null : timeline().entries[index.value]?.fact;
	const state = timeline().stateAt(settled.value);
	if (fact && 'generation' in fact) return fact.generation;
	if (fact && 'child' in fact) {
		const life = timeline().lives.childAt(fact.child, index.value);
		if (life) return life.generation;
	}
	return state?.candidate ?? (state?.serving || null);
}

function Story() {
	const entry = timeline().entries[index.value];
	const generation = generationShown();
	const life =
		generation === null
			? null
			: (timeline().lives.generationAt(generation, index.value) ??
				timeline().lives.generations.findLast((each) => each.generation === generation) ??
				null);
	const record = life?.record ?? keptRotations.value.find((each) => each.generation === generation) ?? null;
	if (!entry) return <p class="quiet">No event yet.</p>;
	return (
		<>
			{(life || record) && generation !== null && <Generation generation={generation} life={life} record={record} />}
			<Moment entry={entry} />
		</>
	);
}

interface GenerationProps {
	generation: number;
	life: GenerationLife | null;
	/** What is reported of its rotation; null if that is not known, or not yet. */
	record: Rotation | null;
}

function Generation({ generation, life, record: final }: GenerationProps) {
	const at = settled.value;
	const now = timeShown();
	const result = life ? resultAt(life, at) : (final?.result ?? null);
	const record = result === 'pending' || result === null ? null : final;
	return (
		<article aria-label={`Generation ${generation}`}>
			<h3 class={/^#| is down/.test(titleOf(generation, life, record, result)) ? 'bad' : ''}>
				{titleOf(generation, life, record, result)}
			</h3>
			{life && (
				<button type="button" class="link" onClick={() => zoomTo(life)}>
					Zoom the timeline to it
				</button>
			)}
			<dl class="facts-of">
				{life && (
					<Field name="Requested">{`${date(life.requestedAt)} ${clockTime(life.requestedAt)}${askedText(life)}`}</Field>
				)}
				{!life && record?.requestedAt && <Field name="Requested">{timeBeside(record.requestedAt, now)}</Field>}
				{record?.readyBy && <Field name="Ready by">{readyTexts[record.readyBy]}</Field>}
				{record?.check && <Field name="Health check">{record.check}</Field>}
				{record && record.replaced.length > 0 && (
					<Field name="Replaced">{`generation ${record.replaced.join(', ')}`}</Field>
				)}
				{record?.directory && <Field name="Started from">{record.directory}</Field>}
			</dl>
			{record && record.lastOutput.length > 0 && <Output lines={record.lastOutput} />}
			{life && life.children.length > 0 && <Children life={life} />}
		</article>
	);
}

/** Shows the rotation in the timeline: from its request until it has its result, and something around it. */
function zoomTo({ requestedAt, result, started }: GenerationLife) {
	const length = Math.max(500, (result ?? started).at - requestedAt);
	view.value = { from: requestedAt - length * 0.5, to: requestedAt + length * 2 };
}

function Field({ name, children }: { name: string; children: string }) {
	return (
		<div>
			<dt>{name}</dt>
			<dd>{children}</dd>
		</div>
	);
}

const readyTexts = {
	notify: 'its READY=1',
	ack: 'its ack (einhorn)',
	accept: 'accepting connections',
	wait: 'staying alive for -start',
};

function askedText({ asked }: GenerationLife): string {
	if (asked === null) return '';
	return asked === 'start' ? ', by the supervisor itself' : ` by ${asked}`;
}

function titleOf(
	generation: number,
	life: GenerationLife | null,
	record: Rotation | null,
	result: string | null,
): string {
	const name = `Generation ${generation}`;
	const took = record && readyTime(record);
	const servesAllTheSame = timeline().stateAt(settled.value)?.serving === generation ? '; it serves all the same' : '';
	if (result === 'failed')
		return `#${generation} failed${took === null ? '' : ` after ${duration(took)}`}: ${record?.reason ?? 'its reason is not known'}${servesAllTheSame}`;
	if (result === 'stopped') return `${name}: a stop came before it was ready`;
	if (result === 'pending') return `${name} is starting`;
	if (result === null) return `${name} will be started later`;
	const ready = took === null ? '' : `, ready in ${duration(took)}`;
	if (!life) return `${name} was promoted${ready}`;
	const isReplaced = life.replacedAt !== null && life.replacedAt.index <= settled.value;
	const end = endOfGeneration(life);
	const isOver = end !== null && end.index <= settled.value;
	if (isGone.value && !isOver)
		return `${name}: its state is not known since ${clockTime(timeline().timeAt(settled.value))}`;
	const state = timeline().stateAt(settled.value);
	const isRestarting = state?.serving === generation && state.respawns.some((each) => each.generation === generation);
	if (isRestarting && servedUntil(life, settled.value) !== null)
		return `${name} is down: its workers crash and are started again`;
	if (isOver) return `${name} has ended${ready}`;
	if (isReplaced || result === 'left') return `${name} is draining`;
	return `${name} is live${ready}`;
}

function Output({ lines }: { lines: string[] }) {
	return (
		<div class="output">
			<h4>
				Last output{' '}
				<button type="button" onClick={() => void navigator.clipboard?.writeText(lines.join('\n'))}>
					Copy
				</button>
			</h4>
			<pre role="region" tabIndex={0} aria-label="Last output">
				{lines.join('\n')}
			</pre>
		</div>
	);
}

function Children({ life }: { life: GenerationLife }) {
	const at = settled.value;
	const now = timeShown();
	const known = new Map(report.value?.children.map((child) => [child.pid, child]));
	const waiting =
		timeline()
			.stateAt(at)
			?.respawns.filter(({ generation, isDue }) => generation === life.generation && !isDue) ?? [];
	const here = life.children.filter((child) => phaseAt(child, at) !== null);
	const shown = here.slice(-40);
	return (
		<table class="children">
			<caption class="sr">Children of generation {life.generation}</caption>
			<thead>
				<tr>
					<th scope="col">Worker</th>
					<th scope="col">PID</th>
					<th scope="col">State</th>
					<th scope="col">For</th>
					{report.value && <th scope="col">Conns</th>}
					{report.value && <th scope="col">STATUS=</th>}
				</tr>
			</thead>
			<tbody>
				{here.length > shown.length && (
					<tr>
						<td colSpan={6} class="quiet">{`… ${here.length - shown.length} earlier`}</td>
					</tr>
				)}
				{waiting.map(({ index: worker, attempt, at: begun, millis }) => (
					<tr key={`worker ${worker}`}>
						<td>{worker}</td>
						<td>–</td>
						<td colSpan={4}>{`${ordinal(attempt)} restart in ${duration(Math.max(0, begun + millis - now))}`}</td>
					</tr>
				))}
				{shown.map((child) => {
					const since =
						child.end && child.end.index <= at ? child.end : child.segments.findLast(({ index }) => index <= at);
					const own = known.get(child.pid?.pid ?? -1);
					const text = childText(child, at);
					return (
						<tr key={child.child}>
							<td>{child.slot}</td>
							<td>{nameAt(child, at)}</td>
							<td class={text.startsWith('crashed') ? 'bad' : ''}>
								{isGone.value && phaseAt(child, at) !== 'gone' ? 'unknown' : text}
							</td>
							<td>{since ? duration(Math.max(0, now - since.at)) : ''}</td>
							{report.value && <td>{own?.connections ?? '–'}</td>}
							{report.value && <td>{own?.status ?? ''}</td>}
						</tr>
					);
				})}
			</tbody>
		</table>
	);
}

/** The event of the moment: what it says, and what it led to or what led to it. */
function Moment({ entry }: { entry: Entry }) {
	const { fact, says, kind, difference } = entry;
	const step = timeline().stepOf(index.value);
	const place = step ? timeline().placeOf(step.fact.seq) : null;
	const led = place === null ? [] : timeline().decidedUpon(place);
	return (
		<article class="event" aria-label="The event of this moment">
			<h4>
				Event {fact.seq}: {fact.type}{' '}
				<span class="quiet">
					{date(fact.at)} {exactTime(fact.at)}
				</span>
			</h4>
			{difference && <p class="bad">⚠ {difference}</p>}
			<p class={says?.level === 'error' ? 'bad' : ''}>{says?.text ?? plainText(fact)}</p>
			{kind === 'decision' && step && step !== entry && (
				<p>
					Caused by <Link place={place ?? 0} />
				</p>
			)}
			{kind === 'external' && (
				<p>
					Led to: {led.length === 0 && 'nothing'}
					{led.map((each) => (
						<Link key={each} place={each} />
					))}
				</p>
			)}
			{step && !step.isLife && step.moves.length > 0 && <Moves step={step} place={place} />}
		</article>
	);
}

function Moves({ step, place }: { step: Entry; place: number | null }) {
	const before = timeline().standingsAt((place ?? index.value) - 1);
	return (
		<table class="moves">
			<caption class="sr">States before and after this event</caption>
			<tbody>
				{step.moves.map(({ actor, state }) => (
					<tr key={actor}>
						<th scope="row">{nameOf(actor)}</th>
						<td>{before.has(actor) ? stateText(before.get(actor)?.state ?? '') : '–'}</td>
						<td aria-hidden="true">→</td>
						<td>{stateText(state)}</td>
					</tr>
				))}
			</tbody>
		</table>
	);
}

/** Describes a fact that has no log line. */
export function plainText(fact: Entry['fact']): string {
	if (fact.type === 'supervisor.recovered' && branch.value?.timeline.entries[0]?.fact === fact)
		return 'the simulation begins';
	if (fact.type === 'child.spawned') return `started with pid ${fact.pid}`;
	if (fact.type === 'child.verified' && fact.isSeen) return 'accepts on every listener';
	if (fact.type === 'child.ready') return 'is up';
	if (fact.type === 'timer.elapsed')
		return fact.timer === 'boot' ? 'its -start time is over' : 'its kill timeout is over';
	if (fact.type === 'respawn.due') return `worker ${fact.index} of generation ${fact.generation} is due for a restart`;
	if (fact.type === 'child.spawning') return `worker ${fact.index} of generation ${fact.generation} is started`;
	if (fact.type !== 'checkpoint') return fieldsOf(fact) || describeEvent(fact.type);
	return fact.gap ? 'events are missing here: they could not be written' : 'snapshot of earlier history';
}

function Link({ place }: { place: number }) {
	const entry = timeline().entries[place];
	if (!entry) return null;
	return (
		<button type="button" class="link" onClick={() => goTo(place)}>
			{entry.fact.seq} {entry.fact.type} {actorOf(entry.fact) === 'supervisor' ? '' : nameOf(actorOf(entry.fact))}
		</button>
	);
}

/** The fields with simple values, on one line. */
function fieldsOf({ type: _, seq: __, at: ___, ...fields }: Entry['fact'] & { clock?: number }): string {
	return Object.entries(fields)
		.filter(
			([key, value]) =>
				!['clock', 'cause', 'lastOutput'].includes(key) &&
				value !== null &&
				(typeof value !== 'object' || (Array.isArray(value) && value.length > 0)),
		)
		.map(([key, value]) => `${key}=${value}`)
		.join(' ');
}

function Json() {
	const entry = timeline().entries[index.value];
	return <pre class="json">{JSON.stringify(entry?.fact ?? null, null, 2)}</pre>;
}
