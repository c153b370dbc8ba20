/** What children have printed last, from their birth until their generation has a result: whoever asks why it failed is told. */
import { array, number, object, string } from 'valibot';
import { type HandoverState, section } from '../upgrade/handoverState.ts';

/** So many bytes and lines are kept of each. */
const [mostBytes, mostLines] = [8192, 20];

const lastOutputSection = section('lastOutput', () =>
	array(object({ child: number(), generation: number(), text: string() })),
);

export type LastOutput = ReturnType<typeof lastOutputOf>;

/**
 * They outlive the pipe that they came by: the kernel closes a process's files before it tells of its end.
 * @param isPending whether a generation has no result yet
 */
export function lastOutputOf(handoverState: HandoverState, isPending: (generation: number) => boolean) {
	const words = new Map<number, { generation: number; text: string }>();
	for (const { child, ...own } of handoverState.take(lastOutputSection) ?? []) words.set(child, own);
	handoverState.leave(lastOutputSection, () => ({
		state: [...words].map(([child, own]) => ({ child, ...own })),
		fds: [],
	}));

	return {
		/** Keeps those of a child from now on, where its generation has no result. */
		begin: (child: number, generation: number) => {
			if (!words.has(child) && isPending(generation)) words.set(child, { generation, text: '' });
		},
		/** Whole lines; characters are bytes. */
		add: (child: number, lines: string) => {
			const own = words.get(child);
			if (own) own.text = `${own.text}${lines}\n`.slice(-mostBytes);
		},
		/** As a part of the fact that ends a boot. @param unfinished the beginning of one more line */
		of: (child: number, unfinished: string): { lastOutput?: string[] } => {
			const own = words.get(child);
			const lastOutput = own ? linesIn(`${own.text}${unfinished}`.slice(-mostBytes)) : [];
			// They are not told again with its end.
			if (own) own.text = '';
			return lastOutput.length > 0 ? { lastOutput } : {};
		},
		/** It is gone. */
		forget: (child: number) => words.delete(child),
		/** A generation has its result. */
		settle: (generation: number) => {
			for (const [child, own] of words) if (own.generation === generation) words.delete(child);
		},
	};
}

function linesIn(bytes: string): string[] {
	if (bytes === '') return [];
	return Buffer.from(bytes, 'latin1').toString('utf8').replace(/\n$/, '').split('\n').slice(-mostLines);
}
