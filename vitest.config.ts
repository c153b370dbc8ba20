import { defineConfig } from 'vitest/config';

export default defineConfig({
	define: {
		SOCKETMASTER_VERSION: '"0.0.0-test"',
		SOCKETMASTER_FAULTS: 'false',
		SOCKETMASTER_DIST: JSON.stringify(`${import.meta.dirname}/dist`),
	},
	test: {
		include: ['test/**/*.test.ts'],
		globalSetup: 'test/support/build.ts',
		// The load of one file would be the noise of another.
		fileParallelism: false,
		testTimeout: 60_000,
		hookTimeout: 60_000,
	},
});
