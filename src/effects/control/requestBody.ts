/** Reads the bodies of requests to the control socket. */
import { minValue, number, optional, pipe, safeInteger, safeParse, strictObject } from 'valibot';

const count = () => pipe(number(), safeInteger(), minValue(0));
const stopSchema = () => strictObject({ kill: optional(count()), generation: optional(count()) });
const nothingSchema = () => strictObject({});

/** @returns the body, or a sentence about its error */
export function readBody(path: string, text: string): Record<string, unknown> | string {
	if (text.trim() === '') return {};
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		return 'the body is no JSON';
	}
	if (Array.isArray(value)) return 'the body is not what is wanted here';
	const { success, output, issues } = safeParse(path === '/stop' ? stopSchema() : nothingSchema(), value);
	if (success) return output;
	const [issue] = issues;
	const name = issue.path?.[0]?.key;
	return `the body is not what is wanted here${name === undefined ? '' : `: ${String(name)}`}`;
}
