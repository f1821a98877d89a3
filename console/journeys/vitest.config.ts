import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['journeys/**/*.journey.ts'],
    fileParallelism: false,
    testTimeout: 400_000,
    hookTimeout: 180_000,
    bail: 1,
  },
});
