/** Which generation serves: the one answer for the log, the headline, the status and the commands. */
import type { ChildState, Phase, SupervisorState } from './supervisorState.ts';

/** Whether one of these children is up. A child that boots, drains or was killed does not serve. */
export function isServing(children: readonly { phase: Phase }[]): boolean {
	return children.some(({ phase }) => phase === 'serving');
}

/** The serving generation, if one of its children is up; null if no generation serves. */
export function whoServes({ serving, children }: Pick<SupervisorState, 'serving' | 'children'>): number | null {
	return isServing(children.filter((child: ChildState) => child.generation === serving)) ? serving : null;
}
