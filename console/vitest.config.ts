import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
    // A slow and busy machine is no failure.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
