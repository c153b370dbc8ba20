/** Commands beside the daemon's flags: sade reads their words. */
import sade, { type Sade } from 'sade';

interface Kinds {
	boolean: string[];
	string: string[];
}

/** A command line of its own kind: `describe` declares the command with its options and its action. */
export function readCommand(words: string[], version: string, kinds: Kinds, describe: (program: Sade) => Sade): void {
	const { exit } = process;
	// sade ends with 1 when the usage is wrong, where we say 2.
	process.exit = (status) => exit(status === 1 ? 2 : status);
	try {
		// Flags may be written with one dash here too.
		describe(sade('socketmaster').version(version)).parse(
			['', '', ...words.map((word) => word.replace(/^-(?=[a-z]{2})/, '--'))],
			{ ...kinds, unknown: (flag: string) => `flag provided but not defined: ${flag}` },
		);
	} finally {
		process.exit = exit;
	}
}
