/** The bodies that the control socket takes. */
import { expect, it } from 'vitest';
import { readBody } from '../../../src/effects/control/requestBody.ts';

it('an empty body is taken as no fields', () => {
	expect(readBody('/stop', '')).toEqual({});
	expect(readBody('/rotate', ' \n')).toEqual({});
});

it('a stop may name a kill timeout, which is a whole number that is not negative', () => {
	expect(readBody('/stop', '{"kill":0}')).toEqual({ kill: 0 });
	expect(readBody('/stop', '{}')).toEqual({});
	for (const kill of ['-1', '0.5', '1e300', '"1"', 'null'])
		expect(readBody('/stop', `{"kill":${kill}}`)).toBe('the body is not what is wanted here: kill');
});

it('a field that a path does not know is refused by its name', () => {
	expect(readBody('/rotate', '{"kill":1}')).toBe('the body is not what is wanted here: kill');
	expect(readBody('/stop', '{"what":1}')).toBe('the body is not what is wanted here: what');
});

it('a body that is no object is refused', () => {
	expect(readBody('/stop', '{')).toBe('the body is no JSON');
	for (const text of ['[]', '[1]', 'null', '1', '"kill"'])
		expect(readBody('/stop', text)).toBe('the body is not what is wanted here');
});
