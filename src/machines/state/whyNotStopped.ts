/** Which generation a stop of one generation takes: the answer to the client. The statechart decides the same. */
import type { SupervisorState } from './supervisorState.ts';

/**
 * Why a stop of this generation is refused, as a sentence. `gone`: it has left. Null: it is stopped, as it drains, or is a
 * candidate beside a serving generation.
 */
export function whyNotStopped(state: SupervisorState | null, generation: number): string | null {
	if (state === null || state.stopSignal !== null) return 'already stopping';
	// As the statechart: a child that is started again may serve soon.
	const isServed = state.children.some((each) => each.generation === state.serving);
	if (generation === state.candidate)
		return isServed ? null : `no generation serves but ${generation}, which is starting`;
	const isThere = [...state.children, ...state.respawns].some((each) => each.generation === generation);
	if (!isThere)
		return generation > 0 && generation <= state.lastGeneration ? 'gone' : `there is no generation ${generation}`;
	return generation === state.serving ? `generation ${generation} serves; a rotation replaces it` : null;
}
