/** What the docs say of the tests is true, their code compiles, and their links lead where they say. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((name) =>
	name.endsWith('.md'),
);

/** The names of a page's headings in links, as GitHub makes them. */
function anchorsOf(page: string): string[] {
	return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
		title
			.toLowerCase()
			.replace(/[^\p{L}\p{N} _-]/gu, '')
			.replaceAll(' ', '-'),
	);
}

it.each(pages)('the links of %s lead to files and headings that are there', (page) => {
	const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
	const broken = links.filter((link) => {
		if (/^[a-z]+:/.test(link)) return false;
		const [path = '', anchor] = link.split('#');
		const target = path === '' ? page : join(dirname(page), path);
		if (!existsSync(join(root, target))) return true;
		return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(anchor);
	});
	expect(broken).toEqual([]);
});

it('README.md fits a first screen or two', () => {
	expect(read('README.md').split('\n').length).toBeLessThanOrEqual(150);
});
