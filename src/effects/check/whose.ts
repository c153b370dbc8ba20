/** Whether a process of a generation holds a socket. */
import { lookAtProcess, newSight, type Sight } from '../os/acceptance.ts';
import { descendantsOf, type Leader, treesOf } from '../os/processTree.ts';

/** The age of the list of all processes that a look may use, in milliseconds. */
const listAgeMs = 1000;

/** `hidden`: the processes can't be inspected, for this reason. */
export type Whose = (inode: number) => Promise<boolean | { hidden: string }>;

/**
 * @param leaders the children of the generation, as of now
 * @param isWide whether processes that have left the trees of the children are searched for
 */
export function whoseIs(leaders: () => Leader[], isWide = true): Whose {
	return async (inode) => {
		const sockets = new Set([inode]);
		const sight = newSight();
		const own = leaders();
		const looked = new Set<number>();
		const lookAt = async (pids: number[]) => {
			for (const pid of pids) {
				if (looked.has(pid) || sight.held.has(inode)) continue;
				looked.add(pid);
				await lookAtProcess(pid, sockets, sight);
			}
		};
		for (const { pid } of own) await lookAt((await descendantsOf(pid)) ?? [pid]);
		// Processes that have left the tree: a server that has daemonized.
		if (isWide && !sight.held.has(inode)) await lookAt([...(await treesOf(own, listAgeMs)).values()].flat());
		return sight.held.has(inode) || hiddenIn(sight);
	};
}

function hiddenIn({ hidden, failed }: Sight): false | { hidden: string } {
	const why = hidden ?? failed;
	return why === null ? false : { hidden: why };
}
