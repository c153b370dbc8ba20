/**
 * The surviving processes of a child, for the event of its exit. Processes that can't be assigned to a child are
 * logged.
 */
import type { Holder } from '../../machines/facts/facts.ts';
import type { Log } from '../log/log.ts';
import { type Leader, leftBehind, type Search } from './leftBehind.ts';

export interface SurvivingProcesses {
	survivors: number[];
	/** A process that can't be inspected counts as a holder of listeners; its list of fds is empty. */
	holders: Holder[];
}

export interface SurvivorFinderOptions extends Pick<Search, 'run' | 'listeners'> {
	log: Pick<Log, 'say'>;
}

/** Logs once each orphan that can't be assigned to a child, and once that some orphans can't be inspected. */
export function survivorFinder({ run, listeners, log }: SurvivorFinderOptions) {
	const named = new Set<number>();
	let wasWarned = false;

	return async (leader: Leader, search: Omit<Search, 'run' | 'listeners'>): Promise<SurvivingProcesses> => {
		const { left, unseen, nameless } = await leftBehind(leader, { run, listeners, ...search });
		for (const each of named) if (!nameless.includes(each)) named.delete(each);
		for (const each of nameless) {
			if (named.has(each)) continue;
			named.add(each);
			const why = `Process ${each} holds the sockets, and which child it belongs to is not known`;
			log.say('warn', `${why}: it is left alone; a server has to stay in the foreground (docs/servers.md)`);
		}
		if (unseen.length > 0 && !wasWarned) {
			wasWarned = true;
			const what = unseen.length === 1 ? 'process' : 'processes';
			const why = 'CAP_SYS_PTRACE is missing, or there is no answer';
			log.say(
				'warn',
				`The environment of ${what} ${unseen.join(', ')} can't be read (${why}): a process that a child left behind may still hold the sockets`,
			);
		}
		const holders = left.flatMap(({ pid, fds }) => (fds?.length === 0 ? [] : { pid, fds: fds ?? [] }));
		return { survivors: left.map(({ pid }) => pid), holders };
	};
}
