/** What a system error is called in a sentence. */

/** Node says "ENOENT: no such file or directory, open '/x'": the middle is for people. */
export function errorText(error: unknown): string {
	const { message } = error as Error;
	const [, words] = /^E[A-Z0-9]+: (.*?), \w+( '.*')?$/s.exec(message) ?? [];
	return words ?? message;
}

/** So many are named in a sentence. */
const mostNamed = 5;

/** `1, 2, 3`; of many the first, and how many more there are. */
export function listOf(names: (string | number)[]): string {
	const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '';
	return `${names.slice(0, mostNamed).join(', ')}${more}`;
}
