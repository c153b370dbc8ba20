/** A journal as a supervisor would have left it. */
import { journalFormat } from '../../src/machines/facts/feed.ts';

export const header = {
	journal: journalFormat,
	program: '1.0.0',
	boot: 'b',
	run: 'r',
	pid: 1,
	startTime: 1,
	args: [],
	listeners: [],
	notifyDir: null,
};

/** The file's text: the header and these lines. */
export function journalText(lines: readonly object[]): string {
	return [header, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
}
