/**
 * Reads /proc as the user of the children. Without CAP_SYS_PTRACE (Docker's default capabilities) root may not inspect the
 * processes of another user; that user may (ptrace(2), "Ptrace access mode checking"). The file system ids of this thread
 * (setfsuid(2)) are changed for the time of one synchronous call. They give no process of the user any right over this one:
 * kill(2) and ptrace(2) check the other ids.
 */
import { libc } from './libc.ts';
import type { User } from './user.ts';

const [PR_GET_DUMPABLE, PR_SET_DUMPABLE] = [3, 4];

let owner: Pick<User, 'uid' | 'gid'> | null = null;

/** From now on processes are inspected as this user. Takes root. */
export function inspectAs(user: Pick<User, 'uid' | 'gid'>): void {
	owner = user;
}

export function isOwnerNeeded(): boolean {
	return owner !== null;
}

/**
 * Runs `read` as the user of the children, if that is needed, and once more as this process if that user is denied: it may
 * be a process of root. `read` must be synchronous.
 */
export function asOwner<T>(read: () => T): T {
	if (owner === null) return read();
	try {
		return withOwnerIds(owner, read);
	} catch (error) {
		if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
		return read();
	}
}

function withOwnerIds<T>(owner: Pick<User, 'uid' | 'gid'>, read: () => T): T {
	const [setfsuid, setfsgid, prctl] = [libc('setfsuid'), libc('setfsgid'), libc('prctl')];
	// A change of these ids clears the flag, and then /proc of this process is closed to other supervisors of root.
	const wasDumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	setfsgid(owner.gid);
	setfsuid(owner.uid);
	try {
		return read();
	} finally {
		setfsuid(process.geteuid?.() ?? 0);
		setfsgid(process.getegid?.() ?? 0);
		prctl(PR_SET_DUMPABLE, wasDumpable, 0, 0, 0);
	}
}
