/** Suggests a command if the command line has arguments but no -command. */
import { findCommand } from '../effects/os/findCommand.ts';
import { harmless } from '../effects/terminal/format.ts';
import { commands } from './commandTable.ts';
import { nearestOf } from './distance.ts';

const names = Object.keys(commands);

/** Command names that other programs use, and what to run instead. */
const synonyms: Record<string, string> = {
	reload: 'socketmaster rotate',
	restart: 'socketmaster rotate (the new program takes over when it is ready)',
	deploy: 'socketmaster rotate',
	reopen: 'socketmaster rotate',
	start: 'socketmaster -command=PATH',
	run: 'socketmaster -command=PATH',
	serve: 'socketmaster -command=PATH',
	exec: 'socketmaster -command=PATH',
	list: 'socketmaster status',
	ls: 'socketmaster status',
	ps: 'socketmaster status',
	info: 'socketmaster status',
	show: 'socketmaster status',
	kill: 'socketmaster stop',
	quit: 'socketmaster stop',
	shutdown: 'socketmaster stop',
	help: 'socketmaster -h',
	version: 'socketmaster -version',
	log: 'socketmaster replay JOURNAL (the log itself goes to stderr, or with -syslog to syslog)',
	logs: 'socketmaster replay JOURNAL (the log itself goes to stderr, or with -syslog to syslog)',
	monitor: 'socketmaster status -watch',
	top: 'socketmaster status -watch',
};

/** Returns a line that suggests a command. @param words the arguments after the flags, at least one */
export function whatWasMeant(words: string[], searchPath: string): string {
	const [word = ''] = words;
	const shown = harmless(word);
	const known = Object.hasOwn(synonyms, word) ? synonyms[word] : undefined;
	if (known) return `${shown} is no command: try ${known}`;
	const program = isProgram(word, searchPath) ? `socketmaster -command=${commandOf(words)}` : null;
	const nearest = nearestOf(word, names);
	if (nearest !== null)
		return `${shown} is no command: is it socketmaster ${nearest}?${program ? ` A program is started so: ${program}` : ''}`;
	if (program) return `${shown} is no command of socketmaster; a program is started so: ${program}`;
	return `${shown} is no command (${names.join(', ')}); a program is started so: socketmaster [flag]... -command=PATH [--] [argument]...`;
}

function isProgram(word: string, searchPath: string): boolean {
	try {
		findCommand(word, searchPath);
		return true;
	} catch {
		return word.includes('/');
	}
}

/** Formats a program and its arguments for -command. Words that a shell would split are quoted. */
function commandOf([program = '', ...args]: string[]): string {
	const quoted = (word: string) =>
		/^[\w@%+=:,./-]+$/.test(word) ? word : `'${harmless(word).replaceAll("'", "'\\''")}'`;
	return [quoted(program), ...(args.length > 0 ? ['--', ...args.map(quoted)] : [])].join(' ');
}

/** Flags end at the first word that is no flag, as in Go's programs. @param word an argument that looks like a flag */
export function misplacedText(word: string): string {
	return `${word} comes after the first argument of the program, so it is an argument too, and no flag of socketmaster: flags come before the arguments (a -- before the arguments says that this is meant)`;
}
