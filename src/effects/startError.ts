/** What went wrong before anything was started: one sentence for the operator, exit status 1. */
import { errorText } from './os/errorText.ts';

export class StartError extends Error {
	/** Does the work. @throws {StartError} with what was wanted and why it could not be had */
	static unless<T>(what: string, work: () => T, remark = ''): T {
		try {
			return work();
		} catch (error) {
			throw new StartError(`${what} ${errorText(error)}${remark}`, { cause: error });
		}
	}
}
