/** What a system error is called in a sentence. */

/** Node says "ENOENT: no such file or directory, open '/x'": the middle is for people. */
export function wordsOf(error: unknown): string {
	const { message } = error as Error;
	const [, words] = /^E[A-Z0-9]+: (.*?), \w+( '.*')?$/s.exec(message) ?? [];
	return words ?? message;
}
