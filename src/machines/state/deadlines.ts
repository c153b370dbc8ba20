/** When the wait of a child's phase is over. All points in time are in milliseconds since boot. */
import { killTimeoutFor } from '../rules/killTimeout.ts';
import { bootDeadline, verificationDeadline } from '../rules/verification.ts';
import { type ChildState, isNoGood, killPlanOf, type SupervisorState } from './supervisorState.ts';

/** The deadline of a child's phase; null if the phase has no deadline, or if an earlier version did not record its begin. */
export function deadlineOf(child: ChildState, { plan }: Pick<SupervisorState, 'plan'>): number | null {
	const { phase, clock, deadline, isSeen } = child;
	if (clock === null) return null;
	if (phase === 'verifying') return verificationDeadline({ plan, deadline, born: clock, isHidden: isSeen === false });
	if (phase === 'booting') return bootDeadline(plan, deadline, clock);
	if (phase !== 'draining' && phase !== 'orphaned') return null;
	const killTimeoutMs = killTimeoutFor(killPlanOf(plan, child), isNoGood(child));
	return killTimeoutMs === null ? null : clock + killTimeoutMs;
}

/** The last deadline until which a candidate's children must be ready; null if none waits. */
export function readinessOf({
	candidate,
	children,
	plan,
}: Pick<SupervisorState, 'candidate' | 'children' | 'plan'>): number | null {
	const ends = children.flatMap((child) => {
		const isComing = child.generation === candidate && (child.phase === 'booting' || child.phase === 'verifying');
		return isComing ? (deadlineOf(child, { plan }) ?? []) : [];
	});
	return ends.length === 0 ? null : Math.max(...ends);
}

/** The first SIGKILL of these children; null if none will be killed. */
export function nextKill(children: ChildState[], { plan }: Pick<SupervisorState, 'plan'>): number | null {
	const ends = children.flatMap((child) =>
		child.phase === 'draining' || child.phase === 'orphaned' ? (deadlineOf(child, { plan }) ?? []) : [],
	);
	return ends.length === 0 ? null : Math.min(...ends);
}
