/**
 * The commands other than the daemon, with their flags. The parser, the help of each command and the suggestions use
 * this table. A new client command also goes into bin/socketmaster.
 */

export interface CommandFlag {
	text: string;
	/** Stands for the value in the help; null for a flag without a value. */
	placeholder: string | null;
}

export interface CommandEntry {
	/** One line of the daemon's help. */
	short: string;
	text: string;
	/** The argument in the notation of sade: `<path>` is required, `[journal]` is optional. Null: no argument. */
	argument: string | null;
	/** The bundle that contains the command. `client`: the command sends requests to a running supervisor. */
	bundle: 'client' | 'daemon' | 'inspector';
	flags: Record<string, CommandFlag>;
}

const control = (text: string): CommandFlag => ({
	text: `${text}: the path of its control socket, or NAME for /run/NAME/control`,
	placeholder: 'PATH',
});

const page = {
	listen: { text: 'Where: HOST:PORT (default 127.0.0.1:9615, or a free port)', placeholder: 'HOST:PORT' },
	open: { text: 'Open it in a browser', placeholder: null },
};

export const commands = {
	rotate: {
		short: 'start the new version, and wait for its result',
		text: 'Requests a rotation and waits for its result: 0 promoted, 1 failed, 2 wrong usage, 3 no supervisor, 4 timeout.',
		argument: null,
		bundle: 'client',
		flags: {
			control: control('Which supervisor'),
			timeout: { text: 'Milliseconds to wait', placeholder: 'MILLIS' },
			expect: { text: 'Directory that has to be started; any other is a failure', placeholder: 'PATH' },
			json: { text: 'Print the rotation as JSON', placeholder: null },
		},
	},
	status: {
		short: 'show the health, the rotations and the children',
		text: 'Shows the state of a supervisor.',
		argument: null,
		bundle: 'client',
		flags: {
			control: control('Which supervisor'),
			json: { text: 'As JSON', placeholder: null },
			quiet: {
				text: 'Print nothing: 0 OK, 1 degraded or starting, 2 down or stopping, 3 no supervisor',
				placeholder: null,
			},
			watch: { text: 'Again every second, until q or Ctrl-C', placeholder: null },
			verbose: { text: 'A line for each child, also above 8 (-v)', placeholder: null },
			metrics: { text: 'In the text format of Prometheus', placeholder: null },
		},
	},
	stop: {
		short: 'stop the supervisor, or one old generation',
		text: 'Stops a supervisor, or one generation that does not serve, and waits until it has exited.',
		argument: null,
		bundle: 'client',
		flags: {
			control: control('Which supervisor'),
			generation: { text: 'Stop only this generation, which drains or is being started', placeholder: 'N' },
			kill: {
				text: 'Milliseconds until its children are killed; 0 is never (default: the supervisor’s own -kill)',
				placeholder: 'MILLIS',
			},
		},
	},
	upgrade: {
		short: 'replace the supervisor by the installed program',
		text: 'Replaces a supervisor by the program that is installed now, in the same process.',
		argument: null,
		bundle: 'client',
		flags: {
			control: control('Which supervisor'),
			timeout: { text: 'Milliseconds to wait', placeholder: 'MILLIS' },
		},
	},
	replay: {
		short: 'tell what a journal recorded',
		text: 'Sends the facts of a journal through the statecharts and prints what happened.',
		argument: '<path>',
		bundle: 'daemon',
		flags: {
			until: { text: 'Stop after this fact: a number, or a time as 2026-11-22T13:30:00Z', placeholder: 'FACT' },
			json: { text: 'One JSON object a fact', placeholder: null },
			follow: { text: 'Continue as the journal grows', placeholder: null },
			rotations: { text: 'One line for each rotation: its result', placeholder: null },
		},
	},
	inspect: {
		short: 'serve a page that shows what a supervisor does and did',
		text: 'Serves a page that shows what a supervisor does and did: a running one, or that of a journal.',
		argument: '[journal]',
		bundle: 'inspector',
		flags: { control: control('Which running supervisor'), ...page },
	},
	simulate: {
		short: 'serve that page for a simulated supervisor',
		text: 'Serves the same page on a simulated supervisor.',
		argument: null,
		bundle: 'inspector',
		flags: page,
	},
} as const satisfies Record<string, CommandEntry>;

export type CommandName = keyof typeof commands;

export type ClientCommand = {
	[N in CommandName]: (typeof commands)[N]['bundle'] extends 'client' ? N : never;
}[CommandName];

export function isCommand(word: string): word is CommandName {
	return Object.hasOwn(commands, word);
}
