/** Logs each time when the health of the service gets worse or better. */
import { type Health, healthChange, healthOf, healthText } from '../../machines/state/health.ts';
import type { SupervisorState } from '../../machines/state/supervisorState.ts';
import type { Log } from './log.ts';

/** @returns a function to call when the statecharts have processed all events: in the middle of a step a slot may be empty */
export function healthLog(log: Pick<Log, 'say'>, state: () => SupervisorState | null): () => void {
	let health: Health | null = null;
	return () => {
		const now = state();
		if (now === null) return;
		const before = health;
		health = healthOf(now);
		const change = healthChange(before, health);
		if (change === null) return;
		const level = change === 'better' ? 'info' : health.state === 'down' ? 'error' : 'warn';
		log.say(level, `Health: ${healthText(health)}`, { event: 'health.changed', result: health.state });
	};
}
