/** The user that -user names. */
import { callReturningError, libc } from './libc.ts';

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
	const [uid, gid] = [passwd.readUInt32LE(16), passwd.readUInt32LE(20)];
	return { name, uid, gid, groups: groupsOf(name, gid) };
}

/** The gid of a group by its name. @throws {Error} with the words for the operator */
export function findGroup(name: string): number {
	const group = Buffer.alloc(32);
	const result = Buffer.alloc(8);
	const strings = Buffer.alloc(65536);
	callReturningError('getgrnam_r', name, group, strings, strings.length, result);
	if (result.readBigUInt64LE() === 0n) throw new Error(`unknown group ${name}`);
	// struct group: two pointers, then gid.
	return group.readUInt32LE(16);
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
