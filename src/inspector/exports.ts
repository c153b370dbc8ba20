/** What can be exported: a journal, the rotations' receipts and a picture; of a simulation also a unit test. */
import { type ExternalEvent, type Plan, usualPlan } from '../machines/facts/facts.ts';
import { journalFormat } from '../machines/facts/feed.ts';
import { simulatedPid } from '../machines/simulation/nextEvents.ts';
import type { SupervisorState } from '../machines/state/supervisorState.ts';
import type { Branch } from './branch.ts';
import type { Timeline } from './timeline.ts';

/** Returns a journal for `socketmaster replay` and `socketmaster inspect`. */
export function journalOf({ timeline }: Pick<Branch, 'timeline'>, version: string): string {
	return journal(
		version,
		timeline.entries.map(({ fact }) => fact),
	);
}

/** Returns a journal of all facts that the page has. */
export function linesOf({ entries }: Timeline, version: string): string {
	const lines = entries.map(({ fact }) => {
		if (fact.type !== 'checkpoint') return fact;
		const { seq, at, state, gap } = fact;
		return { checkpoint: state, seq, at, ...(gap ? { gap } : {}) };
	});
	return journal(version, lines);
}

function journal(version: string, lines: object[]): string {
	const header = {
		journal: journalFormat,
		program: version,
		boot: '',
		run: 'exported',
		pid: 0,
		startTime: 0,
		args: [],
		listeners: [],
		notifyDir: null,
	};
	return [header, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** Returns what status and rotate report of each rotation, as JSON. */
export function receiptsOf({ lives }: Timeline): string {
	const receipts = lives.generations.flatMap(({ record }) => record ?? []);
	return `${JSON.stringify(receipts, null, 2)}\n`;
}

/** Returns the timeline as an SVG picture, with the page's colours. */
export function pictureOf(page: Document): string {
	const rows = [...page.querySelectorAll<HTMLElement>('.timeline .row-of')];
	const width = (page.querySelector('.timeline .rows')?.clientWidth ?? 800) + 16;
	let top = 8;
	const parts = rows.map((row) => {
		const svg = row.querySelector('svg');
		const name = row.querySelector('.row-name')?.textContent?.replace(/[▸▾]/g, '').trim() ?? '';
		const height = svg?.height.baseVal.value ?? 20;
		const part = `<g transform="translate(8 ${top})"><text x="0" y="15">${escaped(name)}</text><g transform="translate(150 0)">${svg ? drawn(svg) : ''}</g></g>`;
		top += height + 2;
		return part;
	});
	const style = 'font: 13px sans-serif';
	return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top + 8}" style="${style}"><rect width="100%" height="100%" fill="${getComputedStyle(page.documentElement).backgroundColor}"/>${parts.join('')}</svg>\n`;
}

/** The content of a drawing, with its computed colours in it. */
function drawn(svg: SVGSVGElement): string {
	const copy = svg.cloneNode(true) as SVGSVGElement;
	const own = [...svg.querySelectorAll('*')];
	[...copy.querySelectorAll('*')].forEach((each, order) => {
		// The page's own policy allows no style attribute.
		const { fill, stroke, strokeWidth } = getComputedStyle(own[order] as Element);
		each.setAttribute('fill', fill);
		each.setAttribute('stroke', stroke);
		each.setAttribute('stroke-width', strokeWidth);
	});
	return new XMLSerializer().serializeToString(copy);
}

function escaped(text: string): string {
	return text.replace(/[<>&]/g, (character) => ({ '<': '&lt;', '>': '&gt;' })[character] ?? '&amp;');
}

/** Returns a test for test/machines. It sends the same events to a simulation and expects the same decisions. */
export function testOf(branch: Branch): string {
	const { timeline, told, from } = branch;
	const decisions = timeline.entries.filter(({ kind }) => kind === 'decision').map(({ fact }) => fact.type);
	return [
		"import { expect, it } from 'vitest';",
		...(from ? ["import type { SupervisorState } from '../../src/machines/state/supervisorState.ts';"] : []),
		"import { simulate } from '../../src/testing/simulation.ts';",
		'',
		...(from
			? [`/** As it was after fact ${branch.after}. */`, `const known: SupervisorState = ${literal(from)};`, '']
			: []),
		`it(${quoted(titleOf(branch))}, () => {`,
		'\tconst simulation = simulate();',
		...told.flatMap(({ external, after }) => [
			...(after > 0 ? [`\tsimulation.wait(${after});`] : []),
			`\tsimulation${callOf(external, from)};`,
		]),
		`\texpect(simulation.state()).toBe(${quoted(branch.state())});`,
		`\texpect(simulation.phases()).toEqual(${literal(branch.phases(), '\t')});`,
		`\texpect(simulation.decisions()).toEqual(${literal(decisions, '\t')});`,
		'});',
		'',
	].join('\n');
}

function titleOf({ timeline, told, from, state }: Branch): string {
	const first = timeline.standingsAt(timeline.endOfStep(0)).get('supervisor')?.state.split('.').at(-1);
	const events = told.slice(1).map(({ external }) => external.type);
	const shown = events.length > 6 ? [...events.slice(0, 3), '…', ...events.slice(-2)] : events;
	const begin = from ? `a supervisor that is ${first}` : 'a supervisor that has started';
	return events.length === 0 ? `${begin} is ${state()}` : `${begin} is ${state()} after ${shown.join(', ')}`;
}

/** A call on the test's `simulation` that sends the event: a method for this event if there is one, else `tell`. */
function callOf(external: ExternalEvent, from: SupervisorState | null): string {
	switch (external.type) {
		case 'supervisor.started':
			return `.start(${literal(changesOf(external.plan))})`;
		case 'supervisor.recovered':
			if (external.state === from && external.by === 'upgrade') return '.recover(known)';
			break;
		case 'signal.HUP':
		case 'signal.TERM':
		case 'signal.INT':
		case 'signal.QUIT':
			return `.signal(${quoted(external.type.slice('signal.'.length))})`;
		case 'child.spawned': {
			const { child, pid, startTime, pipe } = external;
			if (pid === simulatedPid(child) && startTime === child && pipe === child) return `.spawned(${child})`;
			break;
		}
		case 'timer.elapsed':
			if (external.timer === 'boot') return `.waited(${external.child})`;
			break;
		case 'child.announced':
			if (external.by === 'notify') return `.announced(${external.child})`;
			break;
		case 'child.verified':
			if (external.isSeen) return `.verified(${external.child})`;
			break;
		case 'child.exited': {
			const { child, pid, code, signal, survivors, status } = external;
			if (pid === simulatedPid(child) && survivors.length === 0 && signal === null && status === code)
				return `.exited(${child}, ${code})`;
			break;
		}
	}
	return `.tell(${literal(external, '\t')})`;
}

/** The options that differ from `usualPlan`. */
function changesOf(plan: Plan): Partial<Plan> {
	return Object.fromEntries(Object.entries(plan).filter(([key, value]) => usualPlan[key as keyof Plan] !== value));
}

function quoted(text: string): string {
	const escapes: Record<string, string> = { '\\': '\\\\', "'": "\\'", '\n': '\\n', '\r': '\\r' };
	return `'${text.replace(/[\\'\n\r]/g, (character) => escapes[character] ?? '')}'`;
}

/** Formats a value as TypeScript source in the project's style. */
function literal(value: unknown, indent = ''): string {
	if (typeof value === 'string') return quoted(value);
	if (value === null || typeof value !== 'object') return String(value);
	const inner = `${indent}\t`;
	const isList = Array.isArray(value);
	const parts = isList
		? value.map((each) => literal(each, inner))
		: Object.entries(value).map(
				([key, each]) => `${/^[a-z]\w*$|^\d+$/i.test(key) ? key : quoted(key)}: ${literal(each, inner)}`,
			);
	const [open, close] = isList ? ['[', ']'] : ['{', '}'];
	if (parts.length === 0) return open + close;
	const line = isList ? `[${parts.join(', ')}]` : `{ ${parts.join(', ')} }`;
	if (line.length + indent.length * 2 < 100 && !line.includes('\n')) return line;
	return `${open}\n${parts.map((part) => `${inner}${part},\n`).join('')}${indent}${close}`;
}
