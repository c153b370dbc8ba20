/** Parses the command line of a command in the table. sade parses the checked command line, and prints the help. */
import sade from 'sade';
import { type CommandEntry, type CommandName, commands } from './commandTable.ts';
import { nearestOf } from './distance.ts';

/** The values of the given flags by flag name, and the arguments in `_`. */
export type CommandLine = Record<string, unknown> & { _: string[] };

const helpFlags = ['h', 'help', 'v', 'version'];

/**
 * @param words the command line from the command's name on
 * @param action receives the command line, unless the help or the version was requested. If a flag is given twice, the
 * last value counts
 * @returns a sentence if the command line is wrong; else null
 */
export function readCommand(given: string[], version: string, action: (line: CommandLine) => void): string | null {
	const name = given[0] as CommandName;
	const { text, argument, flags }: CommandEntry = commands[name];
	const words = given.map((word) => (word === '-v' && 'verbose' in flags ? '-verbose' : word));
	const problem = problemIn(name, words.slice(1));
	if (problem !== null) return problem;
	const namesOf = (isBoolean: boolean) =>
		Object.keys(flags).filter((flag) => (flags[flag]?.placeholder === null) === isBoolean);
	const program = sade('socketmaster').version(version);
	program.command(argument === null ? name : `${name} ${argument}`).describe(text);
	for (const [flag, { text, placeholder }] of Object.entries(flags))
		program.option(`--${flag}`, text, ...(placeholder === null ? [false] : []));
	program.action((...words: unknown[]) => {
		const options = words.pop() as CommandLine;
		const values = Object.entries(options).map(([flag, value]) => [
			flag,
			flag !== '_' && Array.isArray(value) ? value.at(-1) : value,
		]);
		const known = words.filter((value) => value !== undefined).map(String);
		action({ ...Object.fromEntries(values), _: [...known, ...options._] });
	});
	// A flag may have one dash, as the daemon's flags do. sade needs two.
	program.parse(['', '', ...words.map((word) => word.replace(/^-(?=[a-z]{2})/, '--'))], {
		boolean: namesOf(true),
		string: [...namesOf(false), '_'],
	});
	return null;
}

/** Checks a command line before sade parses it: for a wrong command line sade would exit with status 1. */
function problemIn(name: CommandName, words: string[]): string | null {
	const { argument, flags }: CommandEntry = commands[name];
	const positional: string[] = [];
	let needsHelp = false;
	for (let at = 0; at < words.length; at += 1) {
		const word = words[at] ?? '';
		if (word === '--') {
			positional.push(...words.slice(at + 1));
			break;
		}
		if (!word.startsWith('-') || word === '-') {
			positional.push(word);
			continue;
		}
		const [flag = '', value] = word.replace(/^--?/, '').split(/=(.*)/s);
		needsHelp ||= helpFlags.includes(flag);
		const entry = Object.hasOwn(flags, flag) ? flags[flag] : undefined;
		if (!entry && !helpFlags.includes(flag))
			return `flag provided but not defined: -${flag}; ${suggestion(flag, Object.keys(flags))}socketmaster ${name} -h lists the flags`;
		const next = words[at + 1];
		if (entry && entry.placeholder !== null && value === undefined) {
			if (next === undefined || next.startsWith('-')) return `flag needs an argument: -${flag}`;
			at += 1;
		}
	}
	if (needsHelp) return null;
	const most = argument === null ? 0 : 1;
	const unexpected = positional[most];
	if (unexpected !== undefined) return `unexpected argument: ${unexpected}`;
	if (argument?.startsWith('<') && positional.length === 0)
		return `${name} needs an argument: ${argument.slice(1, -1)}`;
	return null;
}

function suggestion(flag: string, known: string[]): string {
	const nearest = nearestOf(flag, known);
	return nearest === null ? '' : `did you mean -${nearest}? `;
}
