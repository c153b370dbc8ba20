/** Looks up the user of the -user flag. */
import { addressOf, callReturningError, libc } from './libc.ts';

export interface User {
	name: string;
	uid: number;
	gid: number;
	/** All groups of the user, including the supplementary groups. */
	groups: number[];
	home: string;
	shell: string;
}

/**
 * Accepts `LOGIN` or `LOGIN:GROUP`; either part may be a number. A name takes precedence over a number. A uid without
 * a passwd entry requires a group.
 * @throws {Error} with a message for the operator
 */
export function findUser(text: string): User {
	const [login = '', group] = text.split(':', 2);
	const found = passwdOf(login);
	if (!found && !isNumber(login)) throw new Error(`unknown user ${login}`);
	const gid = group === undefined ? found?.gid : findGroup(group);
	if (gid === undefined) throw new Error(`unknown user ${login}`);
	if (!found) return { name: login, uid: Number(login), gid, groups: [gid], home: '/', shell: '/bin/sh' };
	return { ...found, gid, groups: groupsOf(found.name, gid) };
}

/** The largest uid or gid; the next higher number means "unchanged" (chown(2)). */
const largest = 2 ** 32 - 2;

function isNumber(text: string): boolean {
	return /^\d{1,10}$/.test(text) && Number(text) <= largest;
}

/** struct passwd: name, password, uid, gid, gecos, home and shell. */
function passwdOf(login: string): Omit<User, 'groups'> | null {
	const passwd = Buffer.alloc(48);
	const result = Buffer.alloc(8);
	const strings = Buffer.alloc(65536);
	const find = (name: 'getpwnam_r' | 'getpwuid_r', key: string | number) => {
		callReturningError(name, key, passwd, strings, strings.length, result);
		return result.readBigUInt64LE() !== 0n;
	};
	if (!find('getpwnam_r', login) && !(isNumber(login) && find('getpwuid_r', Number(login)))) return null;
	const textAt = (offset: number) => {
		const start = Number(passwd.readBigUInt64LE(offset) - addressOf(strings));
		return strings.toString('utf8', start, strings.indexOf(0, start));
	};
	const [uid, gid] = [passwd.readUInt32LE(16), passwd.readUInt32LE(20)];
	return { name: textAt(0), uid, gid, home: textAt(32) || '/', shell: textAt(40) || '/bin/sh' };
}

/** The gid of a group, by name or by number. @throws {Error} with a message for the operator */
export function findGroup(name: string): number {
	const group = Buffer.alloc(32);
	const result = Buffer.alloc(8);
	const strings = Buffer.alloc(65536);
	callReturningError('getgrnam_r', name, group, strings, strings.length, result);
	if (result.readBigUInt64LE() === 0n) {
		if (isNumber(name)) return Number(name);
		throw new Error(`unknown group ${name}`);
	}
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
