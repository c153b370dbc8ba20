/** The last output of each child, from its spawn until its generation has a result: it explains a failure. */
import { array, number, object, string } from 'valibot';
import { type HandoverState, section } from '../upgrade/handoverState.ts';

/** At most this many bytes and lines are kept of each child. */
const [mostBytes, mostLines] = [8192, 20];

const lastOutputSection = section('lastOutput', () =>
	array(object({ child: number(), generation: number(), text: string() })),
);

export type LastOutput = ReturnType<typeof lastOutputOf>;

/**
 * The last output outlives its pipe: the kernel closes the files of a process before it reports the exit.
 * @param isPending whether a generation has no result yet
 */
export function lastOutputOf(handoverState: HandoverState, isPending: (generation: number) => boolean) {
	const outputs = new Map<number, { generation: number; text: string }>();
	for (const { child, ...own } of handoverState.restore(lastOutputSection) ?? []) outputs.set(child, own);
	handoverState.save(lastOutputSection, () => ({
		state: [...outputs].map(([child, { generation, text }]) => ({ child, generation, text: text.slice(-mostBytes) })),
		fds: [],
	}));

	return {
		/** Keeps the output of a child from now on, if its generation has no result. */
		begin: (child: number, generation: number) => {
			if (!outputs.has(child) && isPending(generation)) outputs.set(child, { generation, text: '' });
		},
		/** @param lines complete lines; each character is one byte */
		add: (child: number, lines: string) => {
			const own = outputs.get(child);
			if (!own) return;
			// A chunk that is long enough is not copied here: a child may print megabytes before it is up.
			own.text = lines.length < mostBytes ? `${own.text}${lines}\n`.slice(-mostBytes) : `${lines}\n`;
		},
		/**
		 * The last output as a field of an event, for example of the exit.
		 * @param unfinished the beginning of a line without its newline
		 */
		of: (child: number, unfinished: string): { lastOutput?: string[] } => {
			const own = outputs.get(child);
			const lastOutput = own ? linesIn(`${own.text}${unfinished}`.slice(-mostBytes)) : [];
			// The event of the exit does not repeat these lines.
			if (own) own.text = '';
			return lastOutput.length > 0 ? { lastOutput } : {};
		},
		/** Call when the child is gone. */
		forget: (child: number) => outputs.delete(child),
		/** Call when the generation has its result. */
		settle: (generation: number) => {
			for (const [child, own] of outputs) if (own.generation === generation) outputs.delete(child);
		},
	};
}

function linesIn(bytes: string): string[] {
	if (bytes === '') return [];
	return Buffer.from(bytes, 'latin1').toString('utf8').replace(/\n$/, '').split('\n').slice(-mostLines);
}
