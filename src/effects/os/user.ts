/** The user that -user names. */
import { bytesAt, call, callReturningError, libc } from './libc.ts';

export interface User {
	name: string;
	uid: number;
	gid: number;
	/** The groups of the user, the supplementary ones included. */
	groups: number[];
}

/** Looks a login name up, a number is not one. @throws {Error} with the words for the operator */
export function findUser(name: string): User {
	const passwd = Buffer.alloc(48);
	const result = Buffer.alloc(8);
	const strings = Buffer.alloc(65536);
	callReturningError('getpwnam_r', name, passwd, strings, strings.length, result);
	const found = result.readBigUInt64LE();
	if (found === 0n) throw new Error(`unknown user ${name}`);
	// struct passwd: two pointers, then uid and gid.
	const [uid, gid] = [bytesAt(found, 24).readUInt32LE(16), bytesAt(found, 24).readUInt32LE(20)];
	return { name, uid, gid, groups: groupsOf(name, gid) };
}

function groupsOf(name: string, gid: number): number[] {
	const count = Buffer.alloc(4);
	for (let room = 64; ; room *= 4) {
		const groups = Buffer.alloc(room * 4);
		count.writeInt32LE(room);
		if (libc('getgrouplist')(name, gid, groups, count) < 0) continue;
		return Array.from({ length: count.readInt32LE() }, (_, index) => groups.readUInt32LE(index * 4));
	}
}

/** System call numbers: these three differ by architecture. */
const numbers =
	process.arch === 'x64'
		? { setgroups: 116, setresuid: 117, setresgid: 119 }
		: { setgroups: 159, setresuid: 147, setresgid: 149 };

const keep = -1;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;

/**
 * Runs `work` with the calling thread being the user, and root again after it. Credentials belong to
 * threads on Linux (credentials(7)), so nothing else in the process changes; root stays the saved uid,
 * which exec takes away. If root can't be had back the process ends: it must not go on as somebody else.
 * @throws {SyscallError} when the process is not root
 */
export function asUser<T>(user: User, work: () => T): T {
	const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, groups: process.getgroups?.() ?? [] };
	try {
		setGroups(user.groups);
		call('prctl', PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
		call('syscall', numbers.setresgid, user.gid, user.gid, 0, null);
		call('syscall', numbers.setresuid, user.uid, user.uid, 0, null);
		return work();
	} finally {
		try {
			call('syscall', numbers.setresuid, own.uid, own.uid, keep, null);
			call('syscall', numbers.setresgid, own.gid, own.gid, keep, null);
			setGroups(own.groups);
		} catch {
			if (process.geteuid?.() !== own.uid || process.getegid?.() !== own.gid) process.abort();
		}
	}
}

function setGroups(groups: number[]) {
	const bytes = Buffer.alloc(Math.max(4, groups.length * 4));
	groups.forEach((group, index) => {
		bytes.writeUInt32LE(group, index * 4);
	});
	call('syscallWithPointer', numbers.setgroups, groups.length, bytes, 0, 0);
}
