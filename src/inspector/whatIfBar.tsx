/** The bar of a simulation: what the reader can let happen next. All that is due before it happens first. */
import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { type ExternalEvent, type Plan, usualPlan } from '../machines/facts/facts.ts';
import { endOf, type NextEvent, nextEvents } from '../machines/simulation/nextEvents.ts';
import type { ChildState, SupervisorState } from '../machines/state/supervisorState.ts';
import { duration } from '../machines/text/duration.ts';
import { branch, imagineFromNothing, source, step, stopImagining, total, undo } from './store.ts';

/** The time until a step of the reader, in milliseconds. */
const moment = 250;
const soon = `in ${duration(moment)}, after all that is due before`;

export function WhatIfBar() {
	if (!branch.value) return source.value?.isImagined ? <Beginning /> : null;
	const { after, steps, describe, due, now, supervisorState, upgrade, nonChildren } = branch.value;
	total.value;
	const state = supervisorState();
	const isOver = branch.value.state() === 'stopped';
	const events = isOver ? [] : due();
	const timer = events.find(({ isTimer }) => isTimer) ?? events[0];
	const offered = state && !isOver ? nextEvents(state, upgrade(), nonChildren).filter(isOffered) : [];
	const isNamed = (each: NextEvent, name: string) => nameOf(each) === name;
	/** The event as it is possible when it happens. */
	const act = (name: string) =>
		step((on) =>
			on.act(
				(then) => nextEvents(then, on.upgrade(), on.nonChildren).find((each) => isNamed(each, name))?.external ?? null,
				moment,
			),
		);
	const tell = (external: ExternalEvent) => step((on) => on.act(() => external, moment));
	return (
		<section class="what-if" aria-labelledby="what-if-title">
			<h2 id="what-if-title">What if</h2>
			<span class="quiet">
				{after === null ? 'a supervisor starts' : `from event ${after}`}: nothing real is touched
			</span>
			<span class="tools">
				<button type="button" disabled={steps.length === 0} onClick={undo}>
					Undo
				</button>
				<button type="button" disabled={!timer} onClick={() => step((on) => on.runNextTimer())}>
					Next timer{timer ? `: ${timer.what}, in ${duration(timer.at - now())}` : ''}
				</button>
				<button type="button" title={soon} disabled={isOver} onClick={() => tell({ type: 'rotate.requested' })}>
					Rotate
				</button>
				<button type="button" title={soon} disabled={isOver} onClick={() => tell({ type: 'stop.requested' })}>
					Stop
				</button>
				<button
					type="button"
					disabled={isOver || upgrade() !== 'idle'}
					onClick={() => tell({ type: 'upgrade.requested' })}
				>
					Upgrade
				</button>
				<button type="button" title={soon} disabled={isOver} onClick={() => act(crash)}>
					Crash supervisor
				</button>
				{offered.length > 0 && (
					<select
						aria-label="More that can happen"
						value=""
						onChange={({ currentTarget }) => {
							const { value } = currentTarget;
							currentTarget.value = '';
							if (value !== '') act(value);
						}}
					>
						<option value="">More …</option>
						{offered.map((each) => (
							<option key={nameOf(each)}>{nameOf(each)}</option>
						))}
					</select>
				)}
				{state && !isOver && <ChildMenu state={state} nonChildren={nonChildren} />}
			</span>
			<output class="quiet" data-testid="what-if-state">
				{isOver ? 'It is over: nothing can follow.' : cut(describe())}
			</output>
			<button type="button" class="main exit" onClick={stopImagining}>
				{source.value?.isImagined ? 'Begin again' : 'Exit what-if'}
			</button>
		</section>
	);
}

const crash = 'the supervisor: it is killed, and started again';

/** An event as a reader knows it: also of another state. */
function nameOf({ to, what }: NextEvent): string {
	return `${to.replace(/ \(\d+\)$/, '')}: ${what}`;
}

/** Whether the event has no button of its own, and does not come by itself. */
function isOffered({ external }: NextEvent): boolean {
	return (
		/^(signal\.(INT|QUIT)|child\.(spawnFailed|delayed|stopped|unverified)|check\.failed|upgrade\.(refused|failed)|generation\.stopRequested)$/.test(
			external.type,
		) ||
		(external.type === 'child.exited' && external.survivors.length > 0)
	);
}

const chosenChild = signal<number | null>(null);

/** What a child can do. */
function ChildMenu({ state, nonChildren }: { state: SupervisorState; nonChildren: ReadonlySet<number> }) {
	const [status, setStatus] = useState(3);
	const children = state.children.filter(({ pid }) => pid !== null);
	const child = children.find((each) => each.child === chosenChild.value) ?? children.at(-1);
	if (!child) return null;
	const isNonChild = nonChildren.has(child.child);
	/** The child ends, if it has not ended by then. */
	const ends = (how: Parameters<typeof endOf>[1]) =>
		step((on) =>
			on.act((then) => {
				const own = then.children.find((each) => each.child === child.child);
				return own && own.phase !== 'orphaned' && own.survivors.length === 0
					? endOf(own, isNonChild ? 'unknown' : how)
					: null;
			}, moment),
		);
	return (
		<span class="child-menu">
			<label>
				Child{' '}
				<select
					value={child.child}
					onChange={({ currentTarget }) => {
						chosenChild.value = Number(currentTarget.value);
					}}
				>
					{children.map((each) => (
						<option key={each.child} value={each.child}>
							{each.pid} ({each.phase})
						</option>
					))}
				</select>
			</label>
			{child.phase === 'booting' && (
				<>
					<button
						type="button"
						onClick={() =>
							step((on) =>
								on.act((then) => {
									const isBooting = then.children.some(
										(each) => each.child === child.child && each.phase === 'booting',
									);
									return isBooting ? readyOf(child, then.plan) : null;
								}, moment),
							)
						}
					>
						is ready
					</button>
					<button type="button" onClick={() => step((on) => on.silence(child.child))}>
						will not accept
					</button>
				</>
			)}
			{child.phase !== 'orphaned' && (
				<>
					<button type="button" onClick={() => ends({ code: 0 })}>
						exits 0
					</button>
					<button type="button" onClick={() => ends({ code: 1 })}>
						exits 1
					</button>
					<button type="button" onClick={() => ends({ code: status })}>
						exits
					</button>
					<input
						type="number"
						aria-label="Exit status"
						min={0}
						max={255}
						value={status}
						onInput={({ currentTarget }) => currentTarget.validity.valid && setStatus(currentTarget.valueAsNumber)}
					/>
					<button type="button" onClick={() => ends({ signal: 'Killed', number: 9 })}>
						is killed
					</button>
				</>
			)}
		</span>
	);
}

/** How the child becomes ready, with this plan. */
function readyOf({ child }: ChildState, { ready }: Plan) {
	return ready === 'accept'
		? ({ type: 'child.verified', child, isSeen: true } as const)
		: ({ type: 'child.announced', child, by: 'notify' } as const);
}

/** A form that starts a simulated supervisor; its values are the defaults of the program. */
function Beginning() {
	const [plan, setPlan] = useState<Plan>(usualPlan);
	const change = (part: Partial<Plan>) => setPlan({ ...plan, ...part });
	const numbers = [
		['-workers', 'size', 1],
		['-start', 'start', 0],
		['-kill', 'kill', 0],
		['-respawn', 'respawn', -1],
		['-bake', 'bake', 0],
	] as const;
	return (
		<form
			class="what-if beginning"
			onSubmit={(event) => {
				event.preventDefault();
				imagineFromNothing(plan);
			}}
		>
			<h2>What if a supervisor starts with</h2>
			{numbers.map(([flag, field, min]) => (
				<label key={flag}>
					{flag}{' '}
					<input
						type="number"
						required
						min={min}
						max={field === 'size' ? 64 : 3_600_000}
						value={plan[field]}
						onInput={({ currentTarget }) =>
							currentTarget.validity.valid && change({ [field]: currentTarget.valueAsNumber })
						}
					/>
				</label>
			))}
			<label>
				-ready{' '}
				<select
					value={plan.ready}
					onChange={({ currentTarget }) => change({ ready: currentTarget.value as Plan['ready'] })}
				>
					{['wait', 'accept', 'notify'].map((name) => (
						<option key={name}>{name}</option>
					))}
				</select>
			</label>
			<label>
				-signal{' '}
				<select value={plan.drain} onChange={({ currentTarget }) => change({ drain: currentTarget.value })}>
					{['HUP', 'TERM', 'QUIT', 'USR1'].map((name) => (
						<option key={name}>{name}</option>
					))}
				</select>
			</label>
			<button type="submit" class="main">
				Start
			</button>
		</form>
	);
}

/** A long text, cut: many children would push the page down. */
function cut(text: string): string {
	return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}
