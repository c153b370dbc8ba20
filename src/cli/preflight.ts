/** The mode in which a new program checks itself: everything is looked at, nothing is started. */
import { handoverFormat } from '../effects/upgrade/handover.ts';
import { checkOptions } from './daemon.ts';
import type { Options } from './flags.ts';

/**
 * @param offered the format in which the present program will hand over
 * @returns a sentence about what is wrong, or null
 */
export function checkFlight(offered: string, options: Options): string | null {
	if (Number(offered) !== handoverFormat) {
		return `it takes over format ${handoverFormat}, and would be given format ${offered}`;
	}
	try {
		checkOptions(options);
		return null;
	} catch (error) {
		return (error as Error).message;
	}
}
