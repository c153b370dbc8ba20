/** What -check requests: a path, or a URL that also names the scheme and the host. */

export interface CheckTarget {
	isTls: boolean;
	/** The value of the Host header. */
	host: string;
	/** The path and the query. */
	path: string;
}

/**
 * Parses `/up`, `http://HOST/up` or `https://HOST/up`. Without a host it is `localhost`.
 * @returns null if the text is none of these
 */
export function checkTarget(text: string): CheckTarget | null {
	const [, scheme = 'http', host = '', path] = /^(?:(https?):\/\/([A-Za-z0-9._:[\]-]*))?(\/[!-~]*)$/.exec(text) ?? [];
	if (path === undefined || path.includes('#')) return null;
	return { isTls: scheme === 'https', host: host || 'localhost', path };
}

/** Why the value of -check is refused; null if it is valid. An empty value means no check. */
export function whyNoCheck(text: string): string | null {
	return text === '' || checkTarget(text) !== null ? null : '/PATH, http://HOST/PATH or https://HOST/PATH';
}
