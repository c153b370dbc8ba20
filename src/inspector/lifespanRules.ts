/** What one fact, or one recorded state, says about lifespans. */
import type { Fact } from '../machines/facts/facts.ts';
import type { ChildState, SupervisorState } from '../machines/state/supervisorState.ts';
import type { Entry } from './entry.ts';
import type { ChildLife, GenerationLife, Result } from './lifespans.ts';

/** The label of a fact that is marked beside the supervisor's states; null if the fact has no mark. */
export function markOf(fact: Entry['fact']): string | null {
	switch (fact.type) {
		case 'checkpoint':
			return fact.gap ? 'facts are missing' : 'checkpoint';
		case 'supervisor.recovered':
			return fact.by === 'upgrade' ? 'upgraded' : 'recovered';
		case 'supervisor.started':
			return 'start';
		case 'signal.HUP':
		case 'signal.TERM':
		case 'signal.INT':
		case 'signal.QUIT':
		case 'signal.USR1':
		case 'signal.USR2':
		case 'rotate.requested':
		case 'stop.requested':
		case 'upgrade.requested':
			return fact.type.replace('signal.', '').replace('.requested', '');
		default:
			return null;
	}
}

/** How a supervisor begins with a fact; null if it does not. */
export function howItBegan(fact: Entry['fact']): 'started' | 'recovered' | 'upgraded' | 'checkpoint' | null {
	if (fact.type === 'checkpoint') return 'checkpoint';
	if (fact.type === 'supervisor.started') return 'started';
	if (fact.type !== 'supervisor.recovered') return null;
	return fact.by === 'upgrade' ? 'upgraded' : 'recovered';
}

/** How a child ended, by the fact after which the supervisor's state no longer has it. */
export function howItEnded(fact: Fact): string {
	switch (fact.type) {
		case 'child.exited':
			if (fact.signal !== null) return `signal: ${fact.signal}`;
			return fact.code === null ? 'exit status unknown' : `exit ${fact.code}`;
		case 'child.spawnFailed':
			return fact.reason;
		case 'child.abandoned':
			return 'left processes behind';
		default:
			return 'with its group';
	}
}

/**
 * Whether a child of a recorded state is the known child of that number. With another pid it is a child of another
 * supervisor, which numbered its children from 1 again.
 */
export function isSameChild({ pid }: ChildLife, recorded: Pick<ChildState, 'pid'>): boolean {
	return !pid || recorded.pid === null || pid.pid === recorded.pid;
}

/**
 * The result that a recorded state shows for a generation; null if it shows none.
 * @param gone the result of a generation that is gone
 */
export function resultIn(
	{ children, respawns, serving, candidate, isComplete }: SupervisorState,
	life: Pick<GenerationLife, 'generation' | 'children'>,
	gone: Result,
): Result | null {
	const present = new Set(children.map(({ child }) => child));
	const isThere =
		life.children.some(({ child }) => present.has(child)) ||
		respawns.some(({ generation }) => generation === life.generation);
	if (!isThere) return gone;
	if (life.generation === serving) return isComplete ? 'promoted' : null;
	return life.generation === candidate ? null : 'left';
}
