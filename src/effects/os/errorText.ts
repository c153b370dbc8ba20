/** Texts for error messages. */

/** The description in a Node error: "no such file or directory" of "ENOENT: no such file or directory, open '/x'". */
export function errorText(error: unknown): string {
	const { message } = error as Error;
	const [, description] = /^E[A-Z0-9]+: (.*?), \w+( '.*')?$/s.exec(message) ?? [];
	return description ?? message;
}

/** Maximum number of names in one message. */
const mostNamed = 5;

/** `1, 2, 3`; a longer list ends with the number of omitted names. */
export function listOf(names: (string | number)[]): string {
	const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '';
	return `${names.slice(0, mostNamed).join(', ')}${more}`;
}
