/** A failure before any child is spawned: one sentence for the operator, and exit status 1. */
import { errorText } from './os/errorText.ts';

export class StartError extends Error {
	/** Runs `work`. @throws {StartError} with `what` and the error's text, if `work` throws */
	static unless<T>(what: string, work: () => T, remark = ''): T {
		try {
			return work();
		} catch (error) {
			throw new StartError(`${what} ${errorText(error)}${remark}`, { cause: error });
		}
	}
}
