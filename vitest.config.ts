import { defineConfig } from 'vitest/config';

/** Those that start no process: each file in a worker of its own. */
const pure = ['test/machines/**/*.test.ts', 'test/inspector/**/*.test.ts', 'test/testing/**/*.test.ts'];

export default defineConfig({
	define: {
		SOCKETMASTER_VERSION: '"0.0.0-test"',
		SOCKETMASTER_FAULTS: 'false',
		SOCKETMASTER_DIST: JSON.stringify(`${import.meta.dirname}/dist`),
	},
	test: {
		testTimeout: 60_000,
		hookTimeout: 60_000,
		projects: [
			{ extends: true, test: { name: 'pure', include: pure, sequence: { groupOrder: 0 } } },
			{
				extends: true,
				test: {
					name: 'processes',
					globalSetup: 'test/support/build.ts',
					include: ['test/**/*.test.ts'],
					exclude: pure,
					// The load of one file would be the noise of another.
					maxWorkers: 1,
					sequence: { groupOrder: 1 },
				},
			},
		],
	},
});
