/** The service manager: it is told when the service is up. */
import type { Fact } from '../machines/facts.ts';
import { sendDatagram } from './os/message.ts';

/** What the manager told this process, and what is none of a child's business. */
export const managerVariables = ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

/** Tells $NOTIFY_SOCKET of the first fact by which the service is up, once in the life of a process. */
export function tellManager(fact: Fact, env: NodeJS.ProcessEnv): void {
	if (!env.NOTIFY_SOCKET || !isUp(fact)) return;
	try {
		sendDatagram(env.NOTIFY_SOCKET, 'READY=1');
	} catch {
		// A manager that is not there, or takes no more, is no error of ours.
	}
	delete env.NOTIFY_SOCKET;
}

function isUp(fact: Fact): boolean {
	if (fact.type === 'supervisor.recovered') return fact.roster.isWhole;
	return fact.type === 'generation.promoted';
}
