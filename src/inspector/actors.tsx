/** The tree of existing actors, with the state of each. */
import { chosenAt } from './charts.tsx';
import { nameOf, toneOf } from './statecharts.ts';
import { chosen, index, timeline } from './store.ts';

export function Actors() {
	const standings = timeline().standingsAt(index.value);
	const { lives } = timeline();
	const looked = chosenAt(standings);
	const leaf = (actor: string) => standings.get(actor)?.state.split('.').at(-1) ?? '';
	const generations = [...standings.keys()].filter((actor) => actor.startsWith('generation.'));
	return (
		<section class="actors" aria-labelledby="actors-title">
			<h2 id="actors-title">Actors</h2>
			{standings.size === 0 && <p class="quiet">Nobody yet.</p>}
			<ul class="tree">
				{standings.has('supervisor') && (
					<li>
						<Actor actor="supervisor" state={leaf('supervisor')} />
						{timeline().stateAt(index.value)?.queued && <span class="quiet"> one more rotation waits its turn</span>}
						<ul>
							{standings.has('upgrade') && leaf('upgrade') !== 'idle' && (
								<li>
									<Actor actor="upgrade" state={leaf('upgrade')} />
								</li>
							)}
							{generations.map((actor) => {
								const generation = Number(actor.split('.')[1]);
								const children = (lives.generationAt(generation, index.value)?.children ?? []).filter(({ child }) =>
									standings.has(`child.${child}`),
								);
								return (
									<li key={actor}>
										<Actor
											actor={actor}
											state={leaf(actor)}
											isChosen={looked.generation === generation}
											choose={() => {
												chosen.value = { generation, child: null };
											}}
										/>
										<ul>
											{children.slice(0, 200).map(({ child, pid }) => (
												<li key={child}>
													<Actor
														actor={`child.${child}`}
														pid={pid && pid.index <= index.value ? pid.pid : null}
														state={leaf(`child.${child}`)}
														isChosen={looked.child === child}
														choose={() => {
															chosen.value = { generation, child };
														}}
													/>
												</li>
											))}
										</ul>
									</li>
								);
							})}
						</ul>
					</li>
				)}
			</ul>
		</section>
	);
}

interface ActorProps {
	actor: string;
	state: string;
	pid?: number | null;
	isChosen?: boolean;
	choose?: () => void;
}

function Actor({ actor, state, pid, isChosen = false, choose }: ActorProps) {
	const text = (
		<>
			<span class="who">{nameOf(actor)}</span>
			{pid != null && <span class="quiet"> pid {pid}</span>} <span class={`badge ${toneOf(state)}`}>{state}</span>
		</>
	);
	if (!choose) return <span class="actor">{text}</span>;
	return (
		<button type="button" class="actor" aria-pressed={isChosen} onClick={choose}>
			{text}
		</button>
	);
}
