import { defineConfig } from 'vitest/config';

export default defineConfig({
	define: { SOCKETMASTER_VERSION: '"0.0.0-test"' },
	test: {
		include: ['test/**/*.test.ts'],
		globalSetup: 'test/support/build.ts',
		testTimeout: 60_000,
		hookTimeout: 60_000,
	},
});
