/** What went wrong before anything was started: one sentence for the operator, exit status 1. */
export class StartError extends Error {}

/** @throws {StartError} with what was wanted and why it could not be had */
export function prepare<T>(what: string, work: () => T, remark = ''): T {
	try {
		return work();
	} catch (error) {
		throw new StartError(`${what} ${sentence(error)}${remark}`, { cause: error });
	}
}

/** Node says "ENOENT: no such file or directory, open '/x'": the middle is for people. */
function sentence(error: unknown): string {
	const { message } = error as Error;
	return message.replace(/^E[A-Z]+: /, '').replace(/, \w+( '.*')?$/, '');
}
