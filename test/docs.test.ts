/** What the docs say of the tests is true. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './support/program.ts';

const read = (path: string) => readFileSync(join(root, path), 'utf8');

it('each test that docs/peers.md names is there', () => {
	const named = [...read('docs/peers.md').matchAll(/`((?:e2e|machines|effects|cli|inspector)\/[\w/]+)` "([^"]+)"/g)];
	expect(named.length).toBeGreaterThan(80);
	const missing = named.filter(([, file = '', title = '']) => {
		const text = read(`test/${file}.test.ts`);
		return !title.split(' › ').every((part) => text.includes(part));
	});
	expect(missing.map(([whole]) => whole)).toEqual([]);
});
