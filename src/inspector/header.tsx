/** The head of the page: the service's condition in words and colour, the way through time, and the menus. */
import { computed, effect, signal } from '@preact/signals';
import { duration } from '../machines/text/duration.ts';
import { keptRotations, report } from './attached.ts';
import {
	type Condition,
	conditionAt,
	lastRotation,
	type Moment,
	readyTime,
	sentencesAt,
	servingSince,
	whoServesNow,
} from './condition.ts';
import { ExportMenu } from './exportMenu.tsx';
import { resultAt } from './lifespans.ts';
import { linkNow, select } from './selection.ts';
import {
	branch,
	connection,
	go,
	goTo,
	imagineFromHere,
	index,
	isFollowing,
	isGone,
	isLive,
	present,
	settled,
	source,
	timeline,
	timeShown,
	total,
} from './store.ts';
import { exactTime, timeBeside } from './times.ts';

export const help = signal(false);

const moment = computed((): Moment => {
	total.value;
	const goneSupervisor = isGone.value ? { pid: source.value?.pid ?? null } : null;
	return {
		timeline: timeline(),
		index: settled.value,
		now: present(),
		goneSupervisor,
		report: report.value,
		kept: keptRotations.value,
	};
});

/** The condition at the moment shown; null before the first fact. */
const condition = computed(() => conditionAt(moment.value));

/** The name of the service: that of the journal's or the socket's file, or of its directory. */
const name = computed(() => {
	if (!source.value || source.value.isImagined) return source.value ? 'what if' : 'socketmaster';
	const parts = source.value.name.split('/').map((part) => part.replace(/\.?(journal|control|sock|socket)$/, ''));
	return parts.findLast((part) => part !== '') ?? 'socketmaster';
});

/** Writes the health into the title and the icon of the page. */
export function followTitle(): void {
	effect(() => {
		const { tone, word, counts } = condition.value ?? { tone: 'off' as const, word: '…', counts: null };
		const mark = branch.value ? '✎' : { good: '✔', warn: '▲', bad: '✘', off: '■' }[tone];
		document.title = `${mark} ${name.value} ${counts?.replace(' serving', '') ?? word}`;
		const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
		if (icon) icon.href = `icon-${branch.value ? 'what-if' : tone}.svg`;
	});
}

export function Head() {
	const isReal = source.value !== null && !source.value.isImagined && !branch.value;
	return (
		<header class="head">
			<h1 title={source.value?.name}>
				{name.value}{' '}
				{!branch.value && (
					<span class="quiet">{source.value?.listeners.map(({ uri, address }) => address || uri).join(', ')}</span>
				)}
			</h1>
			<Health condition={condition.value} />
			<span class="moment" data-testid="moment">
				<When />
			</span>
			<nav aria-label="Time travel">
				<button type="button" aria-label="To the first event" disabled={index.value <= 0} onClick={() => goTo(0)}>
					|◀
				</button>
				<button type="button" aria-label="One event back" disabled={index.value <= 0} onClick={() => go(-1)}>
					◀
				</button>
				<button type="button" aria-label="One event on" disabled={isFollowing.value} onClick={() => go(1)}>
					▶
				</button>
				<button type="button" class="main" aria-pressed={isFollowing.value} onClick={() => goTo(null)}>
					{isReal && source.value?.isWritten ? 'Live' : 'End'}
				</button>
			</nav>
			<button type="button" onClick={() => void navigator.clipboard?.writeText(linkNow())}>
				Copy link
			</button>
			<ExportMenu />
			{isReal && (
				<button type="button" disabled={index.value < 0} onClick={imagineFromHere}>
					What if
				</button>
			)}
			<button
				type="button"
				aria-label="Keys"
				aria-expanded={help.value}
				onClick={() => {
					help.value = !help.value;
				}}
			>
				?
			</button>
		</header>
	);
}

function Health({ condition }: { condition: Condition | null }) {
	if (!condition) return <p class="health off">{connection.value === 'loading' ? 'loading …' : 'no event yet'}</p>;
	const { word, tone, counts } = condition;
	const generation = servingNow(moment.value) ?? 0;
	const since = tone === 'good' ? servingSince(moment.value) : healthSince();
	const isUp = counts !== null && generation > 0;
	return (
		<p class={`health ${branch.value ? 'what-if-tone' : tone}`} data-testid="health">
			<span aria-hidden="true">{{ good: '●', warn: '▲', bad: '✘', off: '■' }[tone]}</span> <strong>{word}</strong>
			{counts && ` ${counts}`}
			{isUp && ` · gen ${generation}`}
			{since !== null && counts && ` · ${tone === 'good' ? '' : 'for '}${duration(Math.max(0, timeShown() - since))}`}
		</p>
	);
}

/** Since when the health is as it is; null where a snapshot does not say it. */
function healthSince(): number | null {
	const segment = timeline().lives.service.findLast(({ index: place }) => place <= settled.value);
	return segment && timeline().entries[segment.index]?.kind !== 'checkpoint' ? segment.at : null;
}

/** Where in time the page is. */
function When() {
	const entry = timeline().entries[index.value];
	if (!entry) return null;
	const where = `event ${entry.fact.seq} of ${timeline().entries.at(-1)?.fact.seq}`;
	const time = exactTime(entry.fact.at);
	if (connection.value === 'lost') return <span class="pill bad">connection lost, trying again; {where}</span>;
	if (connection.value === 'loading') return <span class="pill">reading, {where}</span>;
	if (branch.value)
		return (
			<span class="pill what-if-tone">
				what if, {where}, {time}
			</span>
		);
	if (!isFollowing.value)
		return (
			<span class="pill warn">
				paused at {where}, {time}
			</span>
		);
	if (isLive.value) return <span class="pill good">live, {where}</span>;
	if (connection.value === 'ended') return <span class="pill bad">the end, {where}</span>;
	return <span class="pill">Supervisor is not running, {where}</span>;
}

/** One or two sentences, always: what serves, who drains, what failed last. */
export function HealthStrip() {
	const now = moment.value;
	const { sentences, failure } = sentencesAt(now);
	const reasons = condition.value?.reasons ?? [];
	const tone = condition.value?.tone ?? 'off';
	const last = lastRotation(now);
	return (
		<section class={`strip-of-health ${tone}`} aria-label="Health">
			<p data-testid="sentences">
				{reasons.length > 0 && <strong>{sentenceOf(reasons.join('; '))} </strong>}
				{sentences.join(' ')}
				{!failure && last && !sentences.some((text) => text.includes('the last rotation')) && ` ${lastText(now, last)}`}
			</p>
			{failure && (
				<p class="bad" data-testid="failure">
					{failure.text}{' '}
					<button type="button" onClick={() => select(failure.record.generation, failure.life?.result?.index ?? null)}>
						Show
					</button>
				</p>
			)}
			<p class="sr" aria-live="polite">
				{spoken.value}
			</p>
		</section>
	);
}

function servingNow({ timeline, index }: Moment): number | null {
	const state = timeline.stateAt(index);
	return state && (whoServesNow(state) ?? state.serving);
}

/** What is spoken: health and verdicts, and not each fact. */
const spoken = computed(() => {
	const { word, counts } = condition.value ?? { word: '', counts: '' };
	const last = lastRotation(moment.value);
	const verdict =
		last && (last.life === null || resultAt(last.life, settled.value) !== 'pending')
			? `Generation ${last.record.generation} ${last.record.result}.`
			: '';
	return `${word} ${counts ?? ''}. ${verdict}`;
});

function sentenceOf(text: string): string {
	return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** `Last rotation: #11 was ready in 0.9 s, 20:13:30, 4 min ago.` */
function lastText({ now }: Moment, { record }: NonNullable<ReturnType<typeof lastRotation>>): string {
	const { generation, result, finishedAt } = record;
	const took = readyTime(record);
	const verdict =
		result === 'stopped'
			? 'a stop came first'
			: result === 'failed'
				? `failed at first (${record.reason ?? 'its reason is not known'}), and serves now`
				: took === null
					? 'was promoted'
					: `was ready in ${duration(took)}`;
	const when =
		finishedAt === null ? '' : `, ${timeBeside(finishedAt, now)}, ${duration(Math.max(0, now - finishedAt))} ago`;
	return `Last rotation: #${generation} ${verdict}${when}.`;
}
