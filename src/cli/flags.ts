/** The daemon's command line: its flags, and the options that they become. */

import { whyNoCheck } from '../effects/check/checkTarget.ts';
import { longestIntervalMs, shortestIntervalMs } from '../effects/children/watchdogs.ts';
import { signalName } from '../effects/os/kill.ts';
import { type Plan, usualVerify } from '../machines/facts/facts.ts';
import { type Flag, readFlags, UsageError, type Values } from './goFlags.ts';
import { usageText } from './usage.ts';

export interface Options {
	listen: string[];
	command: string;
	/** The flags that the statecharts follow. */
	plan: Plan;
	syslog: boolean;
	user: string;
	/** Every signal for a child goes to its process group. */
	group: boolean;
	json: boolean;
	/** What becomes of the lines that children print. `inherit`: they go to the supervisor's own stdout and stderr. */
	output: 'prefix' | 'raw' | 'inherit';
	journal: string;
	env: string;
	/** The children's working directory; empty means the directory in which the supervisor was started. */
	chdir: string;
	pidfile: string;
	/** The path of the control socket; empty means $RUNTIME_DIRECTORY/control if the variable is set, else no socket. */
	control: string;
	/** The path of the socket that hands out the listeners; empty means no socket. */
	share: string;
	/** Children also have the variable LISTEN_PID. */
	systemd: boolean;
	/** Children in Node take the listeners although they only know a port. */
	adopt: boolean;
	/** The interval of the children's watchdogs, in milliseconds; 0 means none. */
	watchdog: number;
	/** The arguments of the children's program. */
	args: string[];
	/** The first of them that looks like a flag of socketmaster, if no `--` says that they are the program's; else null. */
	misplaced: string | null;
}

/** What the command line requests: a run with these options, or a text to print before the process exits. */
export type Request = { run: Options } | { print: string; to: 'stdout' | 'stderr'; status: number };

const mostWorkers = 4096;

const flags: Record<string, Flag> = {
	listen: {
		type: 'string',
		default: 'tcp://:8080',
		placeholder: 'URI',
		text: 'URI to listen on: tcp://, tcp4://, tcp6:// HOST:PORT, unix:///PATH, fd://N or NAME; may be repeated',
	},
	command: {
		type: 'string',
		default: '',
		placeholder: 'PATH',
		text: 'Program to run; it gets the sockets on fd 3 and up',
	},
	start: {
		type: 'int',
		default: '3000',
		placeholder: 'MILLIS',
		text: 'Milliseconds a new child must stay alive to be ready, or has for being so',
	},
	ready: {
		type: 'string',
		default: 'wait',
		placeholder: 'WHAT',
		text: 'What makes a child ready: wait, its message or -start; accept, its message or that it accepts; notify, its message',
		check: (value) => (isReady(value) ? null : 'wait, accept or notify'),
	},
	verify: {
		type: 'string',
		default: '',
		placeholder: 'WHAT',
		text: 'What a ready child must be seen to do before an old one leaves: accept, hold the sockets, none; accept, with -start=0 hold',
		check: (value) => (isVerify(value) ? null : 'accept, hold or none'),
	},
	workers: {
		type: 'int',
		default: '1',
		placeholder: 'N',
		text: 'Children that share the sockets',
		check: (value) => (Number(value) >= 1 && Number(value) <= mostWorkers ? null : `1 to ${mostWorkers}`),
	},
	respawn: {
		type: 'int',
		default: '-1',
		placeholder: 'MILLIS',
		text: 'Milliseconds until a serving child that died is started again; -1 is never',
	},
	syslog: { type: 'bool', default: 'false', text: 'Log to syslog instead of stderr' },
	user: {
		type: 'string',
		default: '',
		placeholder: 'LOGIN',
		text: 'User to run the children as, by name or number; LOGIN:GROUP for another group than its own',
	},
	signal: {
		type: 'string',
		default: 'HUP',
		placeholder: 'NAME',
		text: 'Signal that tells an old child to leave',
		check: whyNoSignal,
	},
	stop: {
		type: 'string',
		default: '',
		placeholder: 'NAME',
		text: 'Signal that children get at a stop; if not given TERM, or INT where SIGINT asked for it',
		check: (value) => (value === '' ? null : whyNoSignal(value)),
	},
	kill: {
		type: 'int',
		default: '0',
		placeholder: 'MILLIS',
		text: 'Milliseconds a child may live after it was told to leave; 0 is for ever',
	},
	'max-draining': {
		type: 'int',
		default: '0',
		placeholder: 'N',
		text: 'Generations that may drain at the same time: the oldest beyond that is killed; 0 is any number',
		check: (value) => (Number(value) >= 0 ? null : '0 or more'),
	},
	check: {
		type: 'string',
		default: '',
		placeholder: 'PATH',
		text: 'Path, or http:// or https:// URL, that a child of a ready generation must answer with 2xx before the generation replaces the old one',
		check: whyNoCheck,
	},
	bake: {
		type: 'int',
		default: '0',
		placeholder: 'MILLIS',
		text: 'Milliseconds a ready generation serves beside the old generation, which leaves only then; if a child of the ready one exits, the rotation fails',
		check: (value) => (Number(value) >= 0 ? null : '0 or more'),
	},
	group: {
		type: 'bool',
		default: 'false',
		text: 'Every signal for a child goes to its whole process group',
	},
	json: { type: 'bool', default: 'false', text: 'Log lines as JSON' },
	output: {
		type: 'string',
		default: 'prefix',
		placeholder: 'HOW',
		text: 'Lines of the children: prefix, logged with their pid; raw, as they are (with -json nested); inherit, not read but on our stdout and stderr',
		check: (value) => (isOutput(value) ? null : 'prefix, raw or inherit'),
	},
	journal: {
		type: 'string',
		default: '',
		placeholder: 'PATH',
		text: 'File to record what happened in, and to recover from',
	},
	control: {
		type: 'string',
		default: '',
		placeholder: 'PATH',
		text: 'Socket for the commands below; $RUNTIME_DIRECTORY/control where a manager sets that',
	},
	share: {
		type: 'string',
		default: '',
		placeholder: 'PATH',
		text: 'Socket that hands the listening sockets to whoever connects',
	},
	env: {
		type: 'string',
		default: '',
		placeholder: 'PATH',
		text: 'File of KEY=VALUE lines, or directory of files, with variables for the children',
	},
	chdir: {
		type: 'string',
		default: '',
		placeholder: 'PATH',
		text: 'Working directory of the children, looked up anew for each generation; a relative -command is found from it',
	},
	adopt: {
		type: 'bool',
		default: 'false',
		text: 'Children in Node take the sockets when they listen on their port or path',
	},
	watchdog: {
		type: 'int',
		default: '0',
		alone: '30000',
		placeholder: 'MILLIS',
		text: 'Aborts a serving child that has sent WATCHDOG=1 and then none for so long (30000 without a value)',
		check: (value) =>
			Number(value) === 0 || Number(value) >= shortestIntervalMs ? null : `${shortestIntervalMs} or more`,
	},
	pidfile: { type: 'string', default: '', placeholder: 'PATH', text: 'File to write the pid to' },
	systemd: { type: 'bool', default: 'false', text: 'Give the children LISTEN_PID too' },
};

function whyNoSignal(value: string): string | null {
	return signalName(value) === null ? 'no such signal' : null;
}

function isReady(value: string): value is Plan['ready'] {
	return ['wait', 'accept', 'notify'].includes(value);
}

function isVerify(value: string): value is Plan['verify'] {
	return ['accept', 'hold', 'none'].includes(value);
}

function isOutput(value: string): value is Options['output'] {
	return ['prefix', 'raw', 'inherit'].includes(value);
}

/** Parses the arguments after the program's name. A usage error becomes a text to print and exit status 2. */
export function readCommandLine(argv: string[], version: string): Request {
	try {
		const { values, rest, isMarked } = readFlags(argv, flags);
		if ('help' in values) return { print: usageText(flags), to: 'stderr', status: 0 };
		if ('version' in values) return { print: `socketmaster ${version}\n`, to: 'stdout', status: 0 };
		return { run: { ...toOptions(values, rest), misplaced: isMarked ? null : (rest.find(isLikeFlag) ?? null) } };
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
		const meant = error.meant === null ? '' : `did you mean -${error.meant}? `;
		return { print: `${error.message}\n${meant}See socketmaster -h\n`, to: 'stderr', status: 2 };
	}
}

function isLikeFlag(word: string): boolean {
	return Object.hasOwn(flags, word.match(/^--?([^-=][^=]*)/)?.[1] ?? '');
}

function toOptions(values: Values, args: string[]): Omit<Options, 'misplaced'> {
	const text = (name: string) => values[name]?.[0] ?? flags[name]?.default ?? '';
	const [ready, verify, output, start] = [text('ready'), text('verify'), text('output'), Number(text('start'))];
	if (ready !== 'wait' && start <= 0) {
		throw new UsageError(`-ready=${ready} takes a -start above 0: it is the time a child has for being ready`);
	}
	return {
		listen: values.listen ?? [text('listen')],
		command: text('command'),
		plan: {
			start,
			ready: isReady(ready) ? ready : 'wait',
			verify: isVerify(verify) ? verify : usualVerify(start),
			kill: Number(text('kill')),
			drain: signalName(text('signal')) ?? 'HUP',
			stop: text('stop') === '' ? null : signalName(text('stop')),
			size: Number(text('workers')),
			respawn: Math.max(-1, Number(text('respawn'))),
			maxDraining: Number(text('max-draining')),
			bake: Number(text('bake')),
			check: text('check'),
		},
		syslog: text('syslog') === 'true',
		user: text('user'),
		group: text('group') === 'true',
		json: text('json') === 'true',
		output: isOutput(output) ? output : 'prefix',
		journal: text('journal'),
		control: text('control'),
		share: text('share'),
		env: text('env'),
		chdir: text('chdir'),
		pidfile: text('pidfile'),
		systemd: text('systemd') === 'true',
		adopt: text('adopt') === 'true',
		watchdog: Math.min(Number(text('watchdog')), longestIntervalMs),
		args,
	};
}
