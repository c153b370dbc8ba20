/** The simulation panel: the external events that are possible next, each as a button. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { usualPlan } from '../machines/facts/facts.ts';
import { endOf, type NextEvent, nextEvents } from '../machines/simulation/nextEvents.ts';
import { journalOf, testOf } from './exports.ts';
import { branch, imagine, imagineFromHere, imagineFromNothing, index, source, stopImagining, total } from './store.ts';

declare const SOCKETMASTER_VERSION: string;

export function WhatIf() {
	return (
		<section class={branch.value ? 'what-if imagining' : 'what-if'} aria-labelledby="what-if-title">
			<h2 id="what-if-title">What if</h2>
			{branch.value ? <Imagining /> : <Offer />}
		</section>
	);
}

function Offer() {
	const isReal = source.value !== null && !source.value.isImagined;
	return (
		<>
			{isReal && index.value >= 0 && (
				<p>
					<button type="button" class="main" onClick={imagineFromHere}>
						Imagine what follows this moment
					</button>
				</p>
			)}
			{isReal ? (
				<details>
					<summary>Or a supervisor from its start</summary>
					<Beginning />
				</details>
			) : (
				<Beginning />
			)}
		</>
	);
}

/** A form that starts a simulated supervisor with chosen options. */
function Beginning() {
	const [start, setStart] = useState(3000);
	const [ready, setReady] = useState<'wait' | 'notify'>('wait');
	const [respawn, setRespawn] = useState(-1);
	const [kill, setKill] = useState(0);
	const [size, setSize] = useState(1);
	const [drain, setDrain] = useState('TERM');
	return (
		<form
			class="beginning"
			onSubmit={(event) => {
				event.preventDefault();
				imagineFromNothing({ ...usualPlan, start, ready, kill, drain, size, respawn });
			}}
		>
			<Numeral label="-start" value={start} most={3_600_000} set={setStart} />
			<label>
				-ready{' '}
				<select
					value={ready}
					onChange={(event) => setReady(event.currentTarget.value === 'notify' ? 'notify' : 'wait')}
				>
					<option>wait</option>
					<option>notify</option>
				</select>
			</label>
			<Numeral label="-kill" value={kill} most={3_600_000} set={setKill} />
			<label>
				-signal{' '}
				<select value={drain} onChange={(event) => setDrain(event.currentTarget.value)}>
					{['HUP', 'TERM', 'QUIT', 'USR1'].map((name) => (
						<option key={name}>{name}</option>
					))}
				</select>
			</label>
			<Numeral label="children" value={size} least={1} most={16} set={setSize} />
			<Numeral label="-respawn" value={respawn} least={-1} most={3_600_000} set={setRespawn} />
			<button type="submit">Imagine a supervisor from its start</button>
		</form>
	);
}

interface NumeralProps {
	label: string;
	value: number;
	least?: number;
	most: number;
	set: (value: number) => void;
}

function Numeral({ label, value, least = 0, most, set }: NumeralProps) {
	return (
		<label>
			{label}{' '}
			<input
				type="number"
				required
				min={least}
				max={most}
				value={value}
				onInput={({ currentTarget }) => {
					if (currentTarget.validity.valid) set(currentTarget.valueAsNumber);
				}}
			/>
		</label>
	);
}

function Imagining() {
	const { after, describe, supervisorState, upgrade, state, nonChildren } = branch.value as NonNullable<
		typeof branch.value
	>;
	total.value;
	const now = supervisorState();
	const events = now && state() !== 'stopped' ? nextEvents(now, upgrade(), nonChildren) : [];
	const groups = new Map<string, NextEvent[]>();
	for (const each of events) groups.set(each.to, [...(groups.get(each.to) ?? []), each]);
	const top = useRef<HTMLParagraphElement>(null);
	// In a small window the buttons are out of view.
	useEffect(() => {
		top.current?.focus({ preventScroll: true });
		top.current?.scrollIntoView({ block: 'nearest' });
	}, []);
	return (
		<>
			<p role="status" tabIndex={-1} ref={top}>
				<strong>Imagined</strong>
				{after === null ? ' from nothing' : ` from fact ${after} on`}: nothing real is touched. Now it is{' '}
				<strong data-testid="imagined-state">{describe()}</strong>.
			</p>
			{events.length === 0 && <p>It is over: nothing can follow.</p>}
			{[...groups].map(([to, each]) => (
				<fieldset key={to}>
					<legend>{to}</legend>
					{each.map(({ what, external, after }) => (
						<button key={what} type="button" onClick={() => imagine(external, after)}>
							{what}
						</button>
					))}
				</fieldset>
			))}
			{now && (
				<ExitWith
					children={now.children.filter(
						({ child, pid, phase }) => pid !== null && phase !== 'orphaned' && !nonChildren.has(child),
					)}
				/>
			)}
			<p class="exports">
				<button type="button" onClick={() => save('imagined.journal', journalOf(current(), SOCKETMASTER_VERSION))}>
					Save as a journal
				</button>
				<button type="button" onClick={() => save('imagined.test.ts', testOf(current()))}>
					Save as a unit test
				</button>
				<button type="button" class="main" onClick={stopImagining}>
					{source.value?.isImagined ? 'Begin again' : 'Back to what is real'}
				</button>
			</p>
		</>
	);
}

function current() {
	return branch.value as NonNullable<typeof branch.value>;
}

/** A form that lets a child exit with a chosen status. */
function ExitWith({ children }: { children: Parameters<typeof endOf>[0][] }) {
	const [child, setChild] = useState<number | null>(null);
	const [status, setStatus] = useState(3);
	const chosen = children.find((each) => each.child === child) ?? children[0];
	if (!chosen) return null;
	return (
		<form
			class="exit-with"
			onSubmit={(event) => {
				event.preventDefault();
				imagine(endOf(chosen, { code: status }), 250);
			}}
		>
			<label>
				child{' '}
				<select value={chosen.child} onChange={(event) => setChild(Number(event.currentTarget.value))}>
					{children.map((each) => (
						<option key={each.child} value={each.child}>
							{each.child}
						</option>
					))}
				</select>
			</label>
			<Numeral label="exits with" value={status} most={255} set={setStatus} />
			<button type="submit">Let it</button>
		</form>
	);
}

function save(name: string, text: string) {
	const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
	const link = document.createElement('a');
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 1000);
}
