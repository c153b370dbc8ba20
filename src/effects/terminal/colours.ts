/** Whether colours may be used there: on a terminal, unless NO_COLOR is set (no-color.org). */
export function hasColours(out: NodeJS.WriteStream, env: NodeJS.ProcessEnv = process.env): boolean {
	return out.isTTY === true && env.TERM !== 'dumb' && !env.NO_COLOR;
}
