/** The smallest program, which becomes a child's. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fixture, root, scratch } from '../../support/program.ts';

const source = readFileSync(join(root, 'src/effects/os/starter.ts'), 'utf8');

describe.each([
	['x64', 'as', 'objcopy'],
	['arm64', 'aarch64-linux-gnu-as', 'aarch64-linux-gnu-objcopy'],
])('the code of %s', (arch, assembler, copier) => {
	const canAssemble = spawnSync(assembler, ['--version']).status === 0;
	if (!canAssemble) console.log(`The code of ${arch} is not assembled anew: it takes ${assembler} (binutils).`);

	it.runIf(canAssemble)('is what its source becomes', () => {
		const folder = scratch();
		execFileSync(assembler, [fixture(`starter-${arch}.S`), '-o', join(folder, 'code.o')]);
		execFileSync(copier, ['-O', 'binary', '-j', '.text', join(folder, 'code.o'), join(folder, 'code')]);
		expect(source).toContain(`'${readFileSync(join(folder, 'code')).toString('hex')}'`);
	});
});
