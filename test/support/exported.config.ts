/** For tests that the inspector's page has written: they need no build. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
	test: { include: ['test/machines/exported-*.ts'], root: `${import.meta.dirname}/../..` },
});
