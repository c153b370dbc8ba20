/** The list of rotations, newest first: result, times, and the reason of a failure. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'preact/hooks';
import type { Rotation } from '../machines/state/rotations.ts';
import { duration } from '../machines/text/duration.ts';
import { keptRotations } from './attached.ts';
import { readyTime } from './condition.ts';
import { marks } from './generationRow.tsx';
import { type Beginning, endOfGeneration, type GenerationLife, resultAt, servedUntil } from './lifespans.ts';
import { select } from './selection.ts';
import { chosen, isGone, present, settled, timeline, timeShown, total } from './store.ts';
import { timeBeside } from './times.ts';

const rowHeight = 46;

/** A generation of the timeline, one of which only its result is known, or what divides two supervisors. */
type Item =
	| { type: 'life'; life: GenerationLife }
	| { type: 'record'; record: Rotation }
	| { type: 'beginning'; beginning: Beginning };

function itemsShown(): Item[] {
	const { generations, beginnings } = timeline().lives;
	const items: Item[] = [];
	let next = beginnings.length - 1;
	for (const life of generations.toReversed()) {
		for (; next > 0 && (beginnings[next]?.index ?? 0) > life.started.index; next -= 1)
			items.push({ type: 'beginning', beginning: beginnings[next] as Beginning });
		items.push({ type: 'life', life });
	}
	for (; next > 0; next -= 1) items.push({ type: 'beginning', beginning: beginnings[next] as Beginning });
	const known = new Set(generations.map(({ generation }) => generation));
	for (const record of keptRotations.value) {
		if (record.result === 'pending' || known.has(record.generation)) continue;
		const place = items.findIndex((item) => item.type !== 'beginning' && generationOf(item) < record.generation);
		items.splice(place < 0 ? items.length : place, 0, { type: 'record', record });
	}
	return items;
}

function generationOf(item: Exclude<Item, { type: 'beginning' }>): number {
	return item.type === 'life' ? item.life.generation : item.record.generation;
}

export function Rotations() {
	const room = useRef<HTMLDivElement>(null);
	total.value;
	const items = itemsShown();
	const rows = useVirtualizer({
		count: items.length,
		getScrollElement: () => room.current,
		estimateSize: () => rowHeight,
		overscan: 6,
	});
	const generations = items.flatMap((item) =>
		item.type === 'beginning' ? [] : 'life' in item ? item.life.generation : item.record.generation,
	);
	const move = (event: KeyboardEvent) => {
		const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
		if (step === undefined) return;
		event.preventDefault();
		event.stopPropagation();
		const at = items.findIndex(isSelected);
		for (let place = at + step; place >= 0 && place < items.length; place += step) {
			const item = items[place];
			if (!item || item.type === 'beginning') continue;
			choose(item);
			rows.scrollToIndex(place, { align: 'auto' });
			return;
		}
	};
	return (
		<section class="rotations" aria-labelledby="rotations-title">
			<h2 id="rotations-title">
				Rotations <span class="quiet">{generations.length}</span>
			</h2>
			<div class="list" ref={room} role="listbox" aria-label="Rotations, newest first" tabIndex={0} onKeyDown={move}>
				{items.length === 0 && <p class="quiet none">No rotation yet.</p>}
				<div class="whole" style={{ height: `${rows.getTotalSize()}px` }}>
					{rows.getVirtualItems().map((row) => {
						const item = items[row.index];
						return item && <Row key={row.key} item={item} top={row.start} />;
					})}
				</div>
			</div>
		</section>
	);
}

function isSelected(item: Item): boolean {
	if (item.type === 'beginning') return false;
	const generation = item.type === 'life' ? item.life.generation : item.record.generation;
	return (
		chosen.value.generation === generation &&
		(item.type === 'record' ||
			timeline().lives.generationAt(generation, Math.max(settled.value, item.life.started.index)) === item.life)
	);
}

function choose(item: Item) {
	if (item.type === 'life')
		select(item.life.generation, timeline().endOfStep(item.life.result?.index ?? item.life.started.index));
	if (item.type === 'record') select(item.record.generation, null);
}

function Row({ item, top }: { item: Item; top: number }) {
	const style = { transform: `translateY(${top}px)` };
	if (item.type === 'beginning') {
		return (
			<div class="divider" role="presentation" style={style}>
				{dividerText(item.beginning)}
			</div>
		);
	}
	const { head, rest, result, isLater } = item.type === 'life' ? ofLife(item.life) : ofRecord(item.record);
	const generation = item.type === 'life' ? item.life.generation : item.record.generation;
	const tone = { failed: 'bad', promoted: 'good', pending: 'warn' }[result as string] ?? 'off';
	return (
		<div
			class={`rotation${isLater ? ' later' : ''}`}
			role="option"
			aria-selected={isSelected(item)}
			tabIndex={-1}
			style={style}
			title={rest}
			onClick={() => choose(item)}
		>
			<span class="line">
				<span class={`mark ${tone}`}>{marks[result as keyof typeof marks]}</span> <strong>{generation}</strong> {head}
			</span>
			<span class={result === 'failed' ? 'rest bad' : 'rest quiet'}>{rest}</span>
		</div>
	);
}

export function dividerText({ how, gap }: Beginning): string {
	const time = gap > 0 ? `, gap ≤ ${duration(gap)}` : '';
	return `— ${{ started: 'a new supervisor', recovered: 'recovered', upgraded: 'upgraded', checkpoint: 'earlier history is a snapshot' }[how ?? 'started']}${time} —`;
}

interface RowText {
	head: string;
	rest: string;
	result: string;
	isLater: boolean;
}

function ofLife(life: GenerationLife): RowText {
	const at = settled.value;
	const now = timeShown();
	const isLater = life.started.index > at;
	// What is after the moment is shown dimmed, as it ended.
	const result = (isLater ? life.result?.kind : resultAt(life, at)) ?? 'pending';
	const when =
		result === 'pending' ? life.requestedAt : (recordOf(life)?.finishedAt ?? life.result?.at ?? life.requestedAt);
	const time = `${timeBeside(when, now)}${isLater ? '' : `, ${duration(Math.max(0, present() - when))} ago`}`;
	const record = result === 'pending' ? null : recordOf(life);
	const took = record ? readyTime(record) : null;
	if (result === 'failed')
		return {
			result,
			isLater,
			head: time,
			rest: `${took === null ? '' : `after ${duration(took)}: `}${record?.reason ?? 'failed'}${timeline().stateAt(at)?.serving === life.generation ? '; it serves all the same' : ''}`,
		};
	if (result === 'pending')
		return { result, isLater, head: time, rest: `starting for ${duration(Math.max(0, now - life.started.at))}` };
	if (result === 'stopped') return { result, isLater, head: time, rest: 'a stop came first' };
	const waited = life.started.at - life.requestedAt;
	const mark = result === 'left' && record ? record.result : result;
	const parts = [
		liveText(life, isLater ? Number.POSITIVE_INFINITY : at, now),
		took === null ? '' : `ready in ${duration(took)}`,
		waited >= 50 ? `waited ${duration(waited)}` : '',
		unservedText(life),
	];
	return { result: mark, isLater, head: time, rest: parts.filter(Boolean).join(', ') };
}

/** What is reported of its rotation: also by the running supervisor, of a generation that began before what the page knows. */
function recordOf(life: GenerationLife): Rotation | null {
	if (life.record || life.asked !== null) return life.record;
	return keptRotations.value.find(({ generation }) => generation === life.generation) ?? null;
}

/** `live 4 min`, `was live 21 s, drained 2 s`, `draining`. */
function liveText(life: GenerationLife, at: number, now: number): string {
	const { result, replacedAt } = life;
	if (!result) return '';
	const replaced = replacedAt && replacedAt.index <= at ? replacedAt : null;
	const end = endOfGeneration(life);
	const ended = end && end.index <= at ? end : null;
	if (result.kind === 'left') return ended ? 'drained' : 'draining';
	if (result.kind === 'unknown') return 'its end is not known';
	if (replaced) {
		const live = `was live ${duration(replaced.at - result.at)}`;
		if (!ended) return isGone.value ? `${live}, its end is not known` : `${live}, draining`;
		return ended.at - replaced.at < 0 ? live : `${live}, drained ${duration(ended.at - replaced.at)}`;
	}
	const downAt = servedUntil(life, at);
	if (downAt !== null)
		return `was live ${duration(Math.max(0, downAt - result.at))}${isServing(life) ? `, down for ${duration(Math.max(0, now - downAt))}` : ''}`;
	return isGone.value ? 'its end is not known' : `live ${duration(Math.max(0, now - result.at))}`;
}

/** Whether it is the generation that should serve at the moment, and its workers are started again. */
function isServing({ generation }: GenerationLife): boolean {
	const state = timeline().stateAt(settled.value);
	return (
		state?.serving === generation && state.stopSignal === null && state.children.length + state.respawns.length > 0
	);
}

/** The time in which nobody served before this generation did; empty if there was none. */
function unservedText({ result }: GenerationLife): string {
	if (result?.kind !== 'promoted') return '';
	const { service } = timeline().lives;
	const order = service.findIndex(({ index }) => index >= result.index);
	const before = service[(order < 0 ? service.length : order) - 1];
	const here = order < 0 ? null : service[order];
	if (before?.state !== 'down' || !here || here.at - result.at > 50) return '';
	return `nobody served for ${duration(here.at - before.at)}`;
}

function ofRecord(record: Rotation): RowText {
	const now = timeShown();
	const { finishedAt, requestedAt, result, reason } = record;
	const at = finishedAt ?? requestedAt;
	const took = readyTime(record);
	const rest =
		result === 'failed'
			? `${took === null ? '' : `after ${duration(took)}: `}${reason ?? 'failed'}`
			: result === 'stopped'
				? 'a stop came first'
				: took === null
					? 'was promoted'
					: `ready in ${duration(took)}`;
	return {
		result,
		isLater: false,
		head: at === null ? '' : `${timeBeside(at, now)}, ${duration(Math.max(0, present() - at))} ago`,
		rest,
	};
}
