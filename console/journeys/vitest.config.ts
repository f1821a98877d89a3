import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The same order in each run, whatever took how long before. */
class InOrder extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // It begins where nobody has signed in yet.
    const place = ({ moduleId }: TestSpecification) => (moduleId.includes('/network.') ? 0 : 1);
    return Promise.resolve(files.toSorted((a, b) => place(a) - place(b)));
  }
}

export default defineConfig({
  test: {
    environment: 'node',
    include: ['journeys/**/*.journey.ts'],
    fileParallelism: false,
    sequence: { sequencer: InOrder },
    testTimeout: 400_000,
    hookTimeout: 180_000,
    bail: 1,
  },
});
