/** One table has all commands and flags: the launcher, the help and the docs follow it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CommandEntry, commands } from '../../src/cli/commandTable.ts';
import { root, run } from '../support/program.ts';

const entries: [string, CommandEntry][] = Object.entries(commands);
const client = entries.flatMap(([name, { bundle }]) => (bundle === 'client' ? name : []));

it('the launcher loads the client for the commands of the client, and for no other', () => {
	const launcher = readFileSync(join(root, 'bin/socketmaster'), 'utf8');
	const [, byNode = ''] = /if \(\[([a-z', ]+)\]\.includes\(command\)\)/.exec(launcher) ?? [];
	expect(byNode.split(',').map((name) => name.trim().replaceAll("'", ''))).toEqual(client);
});

it('the launcher starts Node in one way, with a debugger that SIGUSR1 cannot open', () => {
	const launcher = readFileSync(join(root, 'bin/socketmaster'), 'utf8');
	expect(launcher.match(/exec node \S+/g)).toEqual(['exec node --inspect-port=240.0.0.1:1024']);
});

describe.each(entries)('%s', (name, { text, flags, argument }) => {
	it('prints its own help with -h', async () => {
		const { status, stdout, stderr } = await run([name, '-h']).ended;
		expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
		for (const part of [text, ...Object.keys(flags).map((flag) => `--${flag}`)]) expect(stdout).toContain(part);
	});

	it.each([
		[
			'a flag that it does not have',
			['-nothing'],
			/^flag provided but not defined: -nothing; .* -h lists the flags\n$/,
		],
		['an argument too many', ['one', 'two'], /^unexpected argument: (one|two)\n$/],
	])('answers %s with one sentence and 2', async (_, words, sentence) => {
		const { status, stdout, stderr } = await run([name, ...words]).ended;
		expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
		expect(stderr).toMatch(sentence);
	});

	const valued = Object.entries(flags).flatMap(([flag, { placeholder }]) => (placeholder === null ? [] : flag));
	it.each(valued)('answers -%s without its value with one sentence and 2', async (flag) => {
		const { status, stderr } = await run([name, ...(argument === null ? [] : ['x']), `-${flag}`]).ended;
		expect({ status, stderr }).toEqual({ status: 2, stderr: `flag needs an argument: -${flag}\n` });
	});
});
