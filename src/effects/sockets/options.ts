/** Parses the options after the `?` of a -listen URI. */
import { findGroup, findUser } from '../os/user.ts';

/** Options of the socket file of a UNIX listener. */
export interface FileOptions {
	/** Null means 0777 minus the umask. */
	mode: number | null;
	/** Owner and group of the file; -1 leaves them unchanged. */
	uid: number;
	gid: number;
}

export interface ListenOptions extends FileOptions {
	/**
	 * How many connections may wait to be accepted. Null means the maximum of the kernel; the backlog of an inherited
	 * socket then stays unchanged.
	 */
	backlog: number | null;
	/** Whether to set O_NONBLOCK, for all processes that share the socket. False leaves the flag unchanged. */
	isNonBlocking: boolean;
	/** Whether -check requests this listener. If no listener has the option, -check requests them all. */
	isChecked: boolean;
}

const mostBacklog = 2 ** 31 - 1;

/**
 * Parses `backlog=N`, `nonblocking`, `check` and, for a path, `mode=0660&user=LOGIN&group=NAME`. Any other word without `=` is
 * ignored, because the original program ignores the whole query.
 * @throws {Error} with a message for the operator
 */
export function listenOptions(query: string, isPath: boolean): ListenOptions {
	const options: ListenOptions = {
		backlog: null,
		isNonBlocking: false,
		isChecked: false,
		mode: null,
		uid: -1,
		gid: -1,
	};
	for (const [name, value] of new URLSearchParams(query)) {
		const isBare = value === '' && !query.includes(`${name}=`);
		const refuse = (why: string) => new Error(`option ${name}=${value}: ${why}`);
		if (name === 'nonblocking') options.isNonBlocking = isBare || trueOrFalse(value, refuse);
		else if (name === 'check') options.isChecked = isBare || trueOrFalse(value, refuse);
		else if (isBare) continue;
		else if (name === 'backlog') options.backlog = numberIn(value, 10, mostBacklog, refuse);
		else if (!isPath)
			throw refuse(
				isFileOption(name)
					? 'that is for unix:// alone'
					: `there is no such option; backlog, nonblocking and check are`,
			);
		else if (name === 'mode') options.mode = numberIn(value, 8, 0o777, refuse);
		else if (name === 'user') options.uid = findUser(value).uid;
		else if (name === 'group') options.gid = findGroup(value);
		else throw refuse('there is no such option; backlog, nonblocking, check, mode, user and group are');
	}
	return options;
}

/** The words after the `?` that `listenOptions` ignores. They can be mistyped options, so the supervisor logs them. */
export function unknownOptions(query: string): string[] {
	return [...new URLSearchParams(query)]
		.filter(
			([name, value]) => value === '' && !query.includes(`${name}=`) && name !== 'nonblocking' && name !== 'check',
		)
		.map(([name]) => name);
}

/** The URI without its options. */
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
