/** Finds the folder entries that determine where a path leads. */
import { lstatSync, readlinkSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, parse, sep } from 'node:path';

/** One entry of a folder on the way. */
export interface Step {
	folder: string;
	name: string;
}

/** The kernel follows at most 40 symbolic links (path_resolution(7)). */
const mostLinks = 40;

/**
 * The entries whose change can alter where a path leads: each symbolic link, and the last component. If a component is
 * missing, the list ends with it.
 * @param path absolute, or relative to the working directory of this process
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
			// The component is missing: a watch on this entry reports its creation.
			return [...steps, { folder, name }];
		}
	}
	return [...steps, { folder: dirname(path), name: basename(path) }];
}
