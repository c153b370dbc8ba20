/** The selected fact: its log line, the decisions that it caused, and the state changes of its step. */
import { describeEvent } from '../diagram/descriptions.ts';
import type { Entry } from './entry.ts';
import { nameOf, stateText } from './statecharts.ts';
import { goTo, index, timeline } from './store.ts';
import { clockTime, date } from './times.ts';

/** Describes a fact that has no log line. */
export function errorText(fact: Entry['fact']): string {
	if (fact.type !== 'checkpoint') return fieldsOf(fact) || describeEvent(fact.type);
	return fact.gap ? 'facts are missing here: they could not be written' : 'stands for all facts before it';
}

export function Detail() {
	const entry = timeline().entries[index.value];
	if (!entry) return <p class="quiet detail">No fact yet.</p>;
	const { fact, says, kind, difference } = entry;
	const step = timeline().stepOf(index.value);
	const place = step ? timeline().placeOf(step.fact.seq) : null;
	const upon = place === null ? [] : timeline().decidedUpon(place);
	const before = timeline().standingsAt((place ?? index.value) - 1);
	return (
		<article class="detail" aria-label="The fact at this moment" data-testid="detail">
			<h3>
				{fact.seq} {fact.type}{' '}
				<span class="quiet">
					{kind}, {date(fact.at)} {clockTime(fact.at)}
				</span>
			</h3>
			{difference && <p class="bad">⚠ {difference}</p>}
			{says && <p class={`says ${says.level}`}>“{says.text}”</p>}
			{kind === 'decision' && step && step !== entry && (
				<p>
					Decided upon <Link place={place ?? 0} />
				</p>
			)}
			{kind === 'external' && (
				<>
					<h4>Decided upon it</h4>
					{upon.length === 0 ? (
						<p class="quiet">Nothing.</p>
					) : (
						<ul class="plain">
							{upon.map((each) => (
								<li key={each}>
									<Link place={each} />
								</li>
							))}
						</ul>
					)}
				</>
			)}
			{step && step.moves.length > 0 && (
				<>
					<h4>States before and after</h4>
					<table>
						<tbody>
							{step.moves.map(({ actor, state }) => (
								<tr key={actor}>
									<th scope="row">{nameOf(actor)}</th>
									<td>{before.has(actor) && !step.isLife ? stateText(before.get(actor)?.state ?? '') : 'not there'}</td>
									<td aria-hidden="true">→</td>
									<td>{stateText(state)}</td>
								</tr>
							))}
						</tbody>
					</table>
				</>
			)}
			<details open>
				<summary>JSON</summary>
				<pre tabIndex={0}>{JSON.stringify(fact, null, 2)}</pre>
			</details>
		</article>
	);
}

function Link({ place }: { place: number }) {
	const fact = timeline().entries[place]?.fact;
	return (
		<button type="button" class="link" onClick={() => goTo(place)}>
			{fact?.seq} {fact?.type} {fact ? fieldsOf(fact) : ''}
		</button>
	);
}

/** The fields with simple values, on one line. */
function fieldsOf({ type: _, seq: __, at: ___, ...fields }: Entry['fact'] & { clock?: number }): string {
	return Object.entries(fields)
		.filter(
			([key, value]) =>
				!['clock', 'cause'].includes(key) &&
				value !== null &&
				(typeof value !== 'object' || (Array.isArray(value) && value.length > 0)),
		)
		.map(([key, value]) => `${key}=${value}`)
		.join(' ');
}
