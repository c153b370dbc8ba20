/** Paths without links. */
import { realpathSync } from 'node:fs';

/** @throws {Error} where there is no such file */
export function realPath(path: string | Buffer): string {
	return realpathSync(path);
}
