/** What follows the ? of a -listen URI. */
import { findGroup, findUser } from '../os/user.ts';

/** Of the file of a UNIX listener. */
export interface FileOptions {
	/** Null is what the mask leaves. */
	mode: number | null;
	/** Whose it is; -1 is as it comes. */
	uid: number;
	gid: number;
}

export interface ListenOptions extends FileOptions {
	/** Connections that may wait; null is as many as the kernel has. */
	backlog: number | null;
	/** O_NONBLOCK, which all that share the socket then see; otherwise it is as it comes. */
	isNonBlocking: boolean;
}

const mostBacklog = 2 ** 31 - 1;

/**
 * Reads `backlog=N`, `nonblocking` and, for a path, `mode=0660&user=LOGIN&group=NAME`. Any other word without = is
 * ignored, as all of it is by the original.
 * @throws {Error} with the words for the operator
 */
export function listenOptions(query: string, isPath: boolean): ListenOptions {
	const options: ListenOptions = { backlog: null, isNonBlocking: false, mode: null, uid: -1, gid: -1 };
	for (const [name, value] of new URLSearchParams(query)) {
		const isBare = value === '' && !query.includes(`${name}=`);
		const refuse = (why: string) => new Error(`option ${name}=${value}: ${why}`);
		if (name === 'nonblocking') options.isNonBlocking = isBare || trueOrFalse(value, refuse);
		else if (isBare) continue;
		else if (name === 'backlog') options.backlog = numberIn(value, 10, mostBacklog, refuse);
		else if (!isPath)
			throw refuse(
				isFileOption(name) ? 'that is for unix:// alone' : `there is no such option; backlog and nonblocking are`,
			);
		else if (name === 'mode') options.mode = numberIn(value, 8, 0o777, refuse);
		else if (name === 'user') options.uid = findUser(value).uid;
		else if (name === 'group') options.gid = findGroup(value);
		else throw refuse('there is no such option; backlog, nonblocking, mode, user and group are');
	}
	return options;
}

/** Words after the ? that mean nothing to us: the original ignores all of them, and one may be mistyped. */
export function unknownOptions(query: string): string[] {
	return [...new URLSearchParams(query)]
		.filter(([name, value]) => value === '' && !query.includes(`${name}=`) && name !== 'nonblocking')
		.map(([name]) => name);
}

/** The URI without them: what it listens on. */
export function withoutOptions(uri: string): string {
	return uri.replace(/[?#].*$/s, '');
}

function isFileOption(name: string): boolean {
	return name === 'mode' || name === 'user' || name === 'group';
}

function trueOrFalse(text: string, refuse: (why: string) => Error): boolean {
	if (text !== 'true' && text !== 'false') throw refuse('true or false');
	return text === 'true';
}

function numberIn(text: string, base: 8 | 10, most: number, refuse: (why: string) => Error): number {
	const digits = base === 8 ? /^(0o?)?[0-7]{1,4}$/ : /^[0-9]{1,10}$/;
	const number = digits.test(text) ? Number.parseInt(text.replace('o', ''), base) : -1;
	if (number < 0 || number > most) throw refuse(base === 8 ? 'an octal number up to 0777' : `a number up to ${most}`);
	return number;
}
