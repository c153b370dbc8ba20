/** The servers that people run, as Debian has them: `npm run test:servers`. */
import { defineConfig } from 'vitest/config';

const root = `${import.meta.dirname}/../..`;

export default defineConfig({
	define: {
		SOCKETMASTER_VERSION: '"0.0.0-test"',
		SOCKETMASTER_FAULTS: 'false',
		SOCKETMASTER_DIST: JSON.stringify(`${root}/dist`),
	},
	test: {
		root,
		include: ['test/servers/*.servers.ts'],
		globalSetup: 'test/support/build.ts',
		fileParallelism: false,
		testTimeout: 240_000,
		hookTimeout: 60_000,
	},
});
