/** A path as it is named: which folders decide where it leads. */
import { lstatSync, readlinkSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, parse, sep } from 'node:path';

/** An entry of a folder, where the path goes on. */
export interface Step {
	folder: string;
	name: string;
}

/** So many links are followed (path_resolution(7)). */
const mostLinks = 40;

/**
 * The entries that may change where a path leads: each link in it, and its last one. As far as it leads anywhere.
 * @param path absolute, or from our directory
 */
export function stepsOf(path: string): Step[] {
	const steps: Step[] = [];
	let links = 0;
	let folder = isAbsolute(path) ? parse(path).root : '.';
	const rest = path.split(sep).filter(Boolean);
	for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
		if (rest.length === 0) return [...steps, { folder, name }];
		const here = join(folder, name);
		try {
			if (!lstatSync(here).isSymbolicLink()) {
				folder = here;
				continue;
			}
			steps.push({ folder, name });
			links += 1;
			if (links > mostLinks) return steps;
			const target = readlinkSync(here);
			if (isAbsolute(target)) folder = parse(target).root;
			rest.unshift(...target.split(sep).filter(Boolean));
		} catch {
			// It is not there: what makes it anew is seen.
			return [...steps, { folder, name }];
		}
	}
	return [...steps, { folder: dirname(path), name: basename(path) }];
}
