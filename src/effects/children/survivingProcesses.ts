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
			const why = `Process ${each} holds the sockets, and it can't be told of which child it is`;
			log.say('warn', `${why}: it is left alone; a server has to stay in the foreground (docs/servers.md)`);
		}
		if (unseen.length > 0 && !wasWarned) {
			wasWarned = true;
			const whose = `Whose ${unseen.join(', ')} ${unseen.length === 1 ? 'is' : 'are'} can't be seen`;
			const why = 'it takes CAP_SYS_PTRACE, or they do not answer';
			log.say('warn', `${whose} (${why}): what a child has left behind may hold its sockets`);
		}
		const holders = left.flatMap(({ pid, fds }) => (fds?.length === 0 ? [] : { pid, fds: fds ?? [] }));
		return { survivors: left.map(({ pid }) => pid), holders };
	};
}
