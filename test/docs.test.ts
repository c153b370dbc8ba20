/** What the docs say of the tests is true, and their code compiles. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
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

it('the code in docs/inspector.md has no type error, where it says that it lies', () => {
	const blocks = [...read('docs/inspector.md').matchAll(/^```ts\n(.*?)^```$/gms)];
	expect(blocks).toHaveLength(1);
	const folder = mkdtempSync(join(root, 'docs-'));
	onTestFinished(() => rmSync(folder, { recursive: true }));
	writeFileSync(join(folder, 'example.ts'), blocks[0]?.[1] ?? '');
	writeFileSync(join(folder, 'tsconfig.json'), '{"extends":"../tsconfig.json","include":["example.ts"]}');
	const { stdout, status } = spawnSync('npx', ['tsc', '-p', folder], { cwd: root, encoding: 'utf8' });
	expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
});
