/** A supervisor whose server does what its instructions say (test/fixtures/acceptor.py). */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, type Row } from './asking.ts';
import { environment, executable, fixture, type Program, run, scratch } from './program.ts';

export interface Site {
	program: Program;
	folder: string;
	control: string;
	/** What the next generation does. */
	instruct: (instructions: string) => void;
	/** Makes the file that an instruction awaits. */
	open: (name: string) => void;
	address: () => Promise<string>;
	/** The first generation is up, and has read its instructions. */
	up: () => Promise<void>;
	/** The pid that answers. */
	answer: () => Promise<number>;
}

export interface SiteOptions {
	/** Runs the supervisor. */
	wrapper?: string[];
	flags?: string[];
	listen?: string[];
	folder?: string;
}

/** A supervisor whose first generation follows the instructions; its flags are those that everybody starts with, and a short -start. */
export function site(
	instructions: string,
	{ wrapper = [], flags = [], listen = [], folder = scratch() }: SiteOptions = {},
): Site {
	const path = join(folder, 'instructions');
	const control = join(folder, 'control');
	const instruct = (text: string) => writeFileSync(path, text.replaceAll('FOLDER', folder));
	instruct(instructions);
	const listeners = listen.length > 0 ? listen : ['tcp://127.0.0.1:0'];
	const [first = executable, ...rest] = [...wrapper, executable];
	const program = run(
		[
			...rest,
			...listeners.map((uri) => `-listen=${uri}`),
			'-start=100',
			`-control=${control}`,
			`-command=${fixture('acceptor.py')}`,
			...flags,
		],
		{ command: first, env: environment({ INSTRUCTIONS: path }) },
	);
	const address = async () => (await program.logged(/^Bound to (.*)$/))[1] ?? '';
	return {
		program,
		folder,
		control,
		instruct,
		open: (name) => writeFileSync(join(folder, name), ''),
		address,
		up: async () => {
			await program.logged(/^Generation 1 is up/);
			await program.logged(/\] read$/);
		},
		answer: async () => Number(await (await fetch(`http://${await address()}/`)).text()),
	};
}

/** The result of a rotation, when it has one. */
export const rotation = async ({ control }: Site, generation: number): Promise<Row> =>
	(await ask(control, `/rotations/${generation}?wait`)).body;
