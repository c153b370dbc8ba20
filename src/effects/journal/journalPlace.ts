/** Compares the journal with the file at its path, and says what has changed. */

/**
 * - `removed`: no file is at the path.
 * - `changed`: another process has truncated the file or has written to it.
 * - `taken`: another file is at the path.
 * - `hidden`: the path cannot be examined.
 */
export type Place = 'there' | 'removed' | 'changed' | 'taken' | 'hidden';

/** A file as stat(2) reports it. */
export interface FoundFile {
	dev: number;
	ino: number;
	size: number;
}

/**
 * @param opened the file that the journal writes to
 * @param found the file at the path
 * @param expectedSize null if the size is not known, because a write has failed
 */
export function placeOf(
	opened: FoundFile,
	found: FoundFile | undefined,
	expectedSize: number | null,
): Exclude<Place, 'hidden'> {
	if (found === undefined) return 'removed';
	if (found.dev !== opened.dev || found.ino !== opened.ino) return 'taken';
	return expectedSize === null || opened.size === expectedSize ? 'there' : 'changed';
}

/** What another process has done to the file, as a participle. */
export function changeOf(place: 'removed' | 'changed', size: number, expectedSize: number): string {
	if (place === 'removed') return 'removed';
	return size < expectedSize ? 'truncated' : 'written to';
}

/**
 * A sentence for a journal that is not written anew.
 * @param change what another process has done to it
 * @param why the error that prevents the examination or the new file
 */
export function placeText(place: Exclude<Place, 'there'>, path: string, change: string, why: string): string {
	if (place === 'taken') return `Somebody has put another file at ${path}: a start after a crash goes by that one`;
	if (place === 'hidden') return `The journal ${path} can't be looked at: ${why}`;
	return `Somebody has ${change} the journal ${path}, and it can't be written anew: ${why}`;
}
