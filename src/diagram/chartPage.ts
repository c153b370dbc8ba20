/**
 * The Markdown page of a statechart: its picture, its states and events, and the effect of each event in each state.
 */
import { type Chart, type ChartState, type Way, waysOn } from './chart.ts';
import { describeEvent, tones } from './descriptions.ts';
import { actionText, eventText, guardText } from './phrases.ts';

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
		'In the picture a box on an arrow says what happens and, in brackets, under which condition; all transitions between two states',
		'share a box. The bold way is the one that is taken when all is well. A dashed box can be reached from anywhere in the state',
		'around it. H: a supervisor that is started again, or upgraded, goes on where the one before was. What a transition does, and what',
		'happens without a change of the state, is in the tables.',
		'',
		'## States',
		'',
		...chart.states.filter(({ id }) => id !== '').map(sentenceOfState),
		'',
		'## Events',
		'',
		...events.map((event) => `- ${code(event)} (${eventText(event, chart.id)}): ${describeEvent(event)}`),
		'',
		'## What happens where',
		'',
		'A dot says that nothing happens. Where there are several ways, the first one whose condition holds is taken; those of the',
		'states around come after its own.',
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

function cell(chart: Chart, state: ChartState, event: string): string {
	const ways = waysOn(chart, state.id, event);
	const ends = [...new Set(ways.map((way) => outcomeOf(way, state)))];
	// If every transition has a guard, possibly none is taken.
	const isSure = ways.length === 0 || ways.some(({ guard }) => guard === null);
	return [...ends, ...(isSure ? [] : ['·'])].join(' or ') || '·';
}

function outcomeOf({ to, actions, description }: Way, state: ChartState): string {
	if (to !== null) return `→ ${to.split('.').at(-1) || state.key}`;
	return actions.length === 0 && description?.startsWith('ignored') ? 'ignored' : 'stays';
}

function rowOfWay({ from, event, guard, actions, to, description }: Way): string {
	const done = actions.map((action) => (actionText(action) ? `${actionText(action)} (${code(action)})` : code(action)));
	return row(
		from || 'anywhere',
		event === '' ? 'at once' : code(event),
		guard === null ? '' : `${guardText(guard)} (${code(guard)})`,
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
