/** The list of rotations and their results. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'preact/hooks';
import { duration } from '../machines/text/duration.ts';
import { type GenerationLife, nameAt, phaseAt, resultAt } from './lifespans.ts';
import { goTo, index, timeline, total } from './store.ts';

const rowHeight = 44;

export function Rotations() {
	const room = useRef<HTMLDivElement>(null);
	const { generations } = timeline().lives;
	const at = index.value;
	total.value;
	const shown = generations.filter((life) => resultAt(life, at) !== null).reverse();
	const rows = useVirtualizer({
		count: shown.length,
		getScrollElement: () => room.current,
		estimateSize: () => rowHeight,
		overscan: 6,
	});
	return (
		<section class="rotations" aria-labelledby="rotations-title">
			<h2 id="rotations-title">
				Rotations <span class="quiet">{shown.length}</span>
			</h2>
			<div class="list" ref={room} role="region" aria-label="Rotations, newest first" tabIndex={0}>
				<div class="whole" role="list" style={{ height: `${rows.getTotalSize()}px` }}>
					{rows.getVirtualItems().map((item) => {
						const life = shown[item.index];
						return (
							life && (
								<div
									key={life.started.index}
									class="rotation"
									role="listitem"
									style={{ transform: `translateY(${item.start}px)` }}
								>
									<Row life={life} at={at} />
								</div>
							)
						);
					})}
				</div>
			</div>
		</section>
	);
}

function Row({ life, at }: { life: GenerationLife; at: number }) {
	const result = resultAt(life, at) ?? 'pending';
	const { requestedAt, asked, started } = life;
	const waited = started.at - requestedAt;
	const isTimed = result === 'promoted' && life.result && asked !== null;
	const ready = isTimed ? ` in ${duration((life.result?.at ?? 0) - started.at)}` : '';
	const overlap = overlapOf(life, at);
	const ends = life.children.map((child) => endText(child, at)).join('; ');
	const words = `generation ${life.generation}: ${textOfResult[result]}${ready}; ${overlap}${ends}`;
	return (
		<button type="button" onClick={() => goTo(life.result?.index ?? life.started.index)} title={words}>
			<span class="head">
				<strong>generation {life.generation}</strong>{' '}
				<span class={`badge ${tonesOfResult[result]}`}>
					{textOfResult[result]}
					{ready}
				</span>
			</span>
			<span class="rest quiet">
				{asked ?? 'from before'}
				{waited >= 50 ? `, waited ${duration(waited)}` : ''}; {overlap}
				{ends}
			</span>
		</button>
	);
}

const textOfResult = {
	pending: '… starting',
	promoted: '✔ serves',
	failed: '✘ failed',
	stopped: '■ stopped',
	left: '– leaves',
	unknown: '? not known',
};

const tonesOfResult = {
	pending: 'coming',
	promoted: 'well',
	failed: 'ill',
	stopped: 'leaving',
	left: 'leaving',
	unknown: 'gone',
};

/** The time from the spawn of the new generation to the exit of the replaced ones. */
function overlapOf(life: GenerationLife, at: number): string {
	const first = life.children[0]?.segments[0];
	const old = life.replaced.flatMap(({ children }) => children);
	if (!first || old.length === 0 || resultAt(life, at) !== 'promoted') return '';
	const ends = old.map(({ end }) => (end && end.index <= at ? end.at : null));
	if (ends.includes(null)) return 'the old one still leaves; ';
	return `overlap ${duration(Math.max(...(ends as number[])) - first.at)}; `;
}

function endText(child: GenerationLife['children'][number], at: number): string {
	const phase = phaseAt(child, at);
	if (phase === null) return '';
	const name = nameAt(child, at);
	if (phase !== 'gone' || !child.end) return `${name} ${phase}`;
	if (child.end.how === 'gone meanwhile') return `${name} is gone, nobody saw how`;
	return `${name} ended, ${child.end.how}${child.end.wasTold ? ', as told' : ', unasked'}`;
}
