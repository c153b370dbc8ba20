/** A statechart in words: a page with its picture, its states and events in sentences, and what happens in each state on each event. */
import type { Chart, ChartState, Way } from '../../src/machines/chart.ts';
import { describeEvent, tones, wordsOfAction, wordsOfEvent, wordsOfGuard } from '../../src/machines/descriptions.ts';

/** The page of a chart, in Markdown. */
export function pageOf(chart: Chart): string {
	const leaves = chart.states.filter(({ id, states }) => id !== '' && states.length === 0);
	const events = [...new Set(chart.ways.map(({ event }) => event))].filter((event) => event !== '');
	return [
		'<!-- Written by `npm run statecharts` from the machine itself. -->',
		'',
		`# The ${chart.id}`,
		'',
		chart.description,
		'',
		`![The statechart of the ${chart.id}](${chart.id}.svg)`,
		'',
		'## States',
		'',
		...chart.states.filter(({ id }) => id !== '').map(sentenceOfState),
		'',
		'## Events',
		'',
		...events.map((event) => `- ${code(event)} (${wordsOfEvent(event)}): ${describeEvent(event)}`),
		'',
		'## What happens where',
		'',
		'A dot says that nothing happens. Where there are several ways, the first one whose condition holds is taken.',
		'',
		row('', ...leaves.map(({ key }) => `**${key}**`)),
		row('---', ...leaves.map(() => '---')),
		...events.map((event) => row(code(event), ...leaves.map((state) => cell(chart, state, event)))),
		'',
		'## Ways',
		'',
		row('in', 'on', 'if', 'does', 'goes to'),
		row('---', '---', '---', '---', '---'),
		...chart.ways.map(rowOfWay),
		'',
	].join('\n');
}

function sentenceOfState({ id, states, tone, description, invokes }: ChartState): string {
	const indent = '  '.repeat(id.split('.').length - 1);
	const works = invokes.length > 0 ? ` At work in it: ${invokes.join(', ')}.` : '';
	return `${indent}- **${id.split('.').at(-1)}**${states.length > 0 ? '' : ` (${tones[tone]})`}: ${description}${works}`;
}

/** An event that a state knows nothing of is the business of those around it. */
function cell({ states, ways }: Chart, state: ChartState, event: string): string {
	for (let at: ChartState | undefined = state; at; at = states.find(({ id }) => id === at?.parent)) {
		const own = ways.filter((way) => way.from === at?.id && way.event === event);
		if (own.length > 0) return [...new Set(own.map((way) => whither(way, state)))].join(' or ');
	}
	return '·';
}

function whither({ to, actions, description }: Way, state: ChartState): string {
	if (to !== null) return `→ ${to.split('.').at(-1) || state.key}`;
	return actions.length === 0 && description?.startsWith('ignored') ? 'ignored' : 'stays';
}

function rowOfWay({ from, event, guard, actions, to, description }: Way): string {
	const done = actions.map((action) =>
		wordsOfAction(action) ? `${wordsOfAction(action)} (${code(action)})` : code(action),
	);
	return row(
		from || 'anywhere',
		event === '' ? 'at once' : code(event),
		guard === null ? '' : `${wordsOfGuard(guard)} (${code(guard)})`,
		[...done, ...(description ? [description] : [])].join(', '),
		to ?? 'stays',
	);
}

function row(...cells: string[]): string {
	return `| ${cells.join(' | ')} |`;
}

function code(text: string): string {
	return `\`${text}\``;
}
