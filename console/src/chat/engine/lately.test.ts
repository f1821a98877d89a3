import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Lately } from './lately';

describe('what was heard lately', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('counts for its time, from when it was said', () => {
    const lately = new Lately(60_000);
    lately.heard('now');
    lately.heard('before', 1_000_000 - 59_000);
    lately.heard('long ago', 1_000_000 - 60_000);
    lately.heard('by a clock that is ahead', 9_000_000);
    const those = ['now', 'before', 'long ago', 'by a clock that is ahead', 'never'];
    expect(those.filter((each) => lately.has(each))).toEqual([
      'now',
      'before',
      'by a clock that is ahead',
    ]);
    vi.setSystemTime(1_000_000 + 1000);
    expect(lately.has('before')).toBe(false);
    expect(lately.has('now')).toBe(true);
    vi.setSystemTime(1_000_000 + 60_000);
    expect(those.filter((each) => lately.has(each))).toEqual([]);
    expect(lately.sweep()).toBe(true);
    expect(lately.sweep()).toBe(false);
  });

  it('is not over sooner because something older comes later', () => {
    const lately = new Lately(60_000);
    lately.heard('one');
    lately.heard('one', 1_000_000 - 30_000);
    vi.setSystemTime(1_000_000 + 45_000);
    expect(lately.has('one')).toBe(true);
    lately.ended('one');
    expect(lately.has('one')).toBe(false);
  });
});
