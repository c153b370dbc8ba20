/** Resolves symbolic links. */
import { realpathSync } from 'node:fs';

/** @throws {Error} if the file does not exist */
export function realPath(path: string | Buffer): string {
	return realpathSync(path);
}
