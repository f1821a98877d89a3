import { QueryClient } from '@tanstack/react-query';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { keys, LiveFeed, MOST, merged, SILENCE_MS, seqOf } from './live';

/** A stream in the hands of the test: what the browser's own would call, it calls. */
class Stream extends EventTarget {
  static opened: Stream[] = [];
  readyState = 1;
  onerror: (() => void) | null = null;

  constructor() {
    super();
    Stream.opened.push(this);
  }

  close(): void {
    this.readyState = 2;
  }

  say(name: string, content: unknown): void {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(content) }));
  }
}

describe('the live feed', () => {
  let cache: QueryClient;
  let feed: LiveFeed;
  let stop: () => void;
  const stream = () => Stream.opened.at(-1) as Stream;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal('EventSource', { CLOSED: 2 });
    Stream.opened = [];
    cache = new QueryClient();
    feed = new LiveFeed(cache, () => new Stream() as unknown as EventSource);
    stop = feed.start();
  });

  afterEach(() => {
    stop();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('puts what happens where pages look', () => {
    cache.setQueryData(keys.blocks, [{ seq: 1 }]);
    stream().say('network', { link: { status: 'GREEN' }, lab: null });
    stream().say('link', { status: 'RED' });
    stream().say('block', { seq: 2 });
    stream().say('block', { seq: 2, qber: 0.25 });
    expect(cache.getQueryData(keys.network)).toEqual({ link: { status: 'RED' }, lab: null });
    expect(cache.getQueryData(keys.blocks)).toEqual([{ seq: 1 }, { seq: 2, qber: 0.25 }]);
  });

  it('keeps the latest, and looks into none of them when one more comes', () => {
    let reads = 0;
    const block = (seq: number) =>
      Object.defineProperty({ seq }, 'qber', {
        enumerable: true,
        get: () => {
          reads += 1;
          return seq;
        },
      });
    cache.setQueryData(
      keys.blocks,
      Array.from({ length: MOST }, (_, seq) => block(seq)),
    );
    reads = 0;
    stream().say('block', { seq: MOST });
    const kept = cache.getQueryData<{ seq: number }[]>(keys.blocks) ?? [];
    expect([kept.length, kept[0]?.seq, kept.at(-1)?.seq]).toEqual([MOST, 1, MOST]);
    expect(reads).toBe(0);
  });

  it('is lost after silence, begins anew, and heals', () => {
    stream().say('heartbeat', { at: 1 });
    expect(feed.connection()).toBe('live');
    vi.advanceTimersByTime(SILENCE_MS - 1);
    expect(feed.connection()).toBe('live');
    vi.advanceTimersByTime(1);
    expect(feed.connection()).toBe('lost');
    expect(stream().readyState).toBe(2);
    vi.advanceTimersByTime(SILENCE_MS);
    expect(Stream.opened.length).toBeGreaterThan(1);
    stream().say('heartbeat', { at: 2 });
    expect(feed.connection()).toBe('live');
  });

  it('is not begun anew while the browser itself tries', () => {
    stream().readyState = 0;
    stream().onerror?.();
    expect(feed.connection()).toBe('lost');
    expect(Stream.opened).toHaveLength(1);
  });

  it('ends with the session, and everybody is nobody', () => {
    cache.setQueryData(keys.me, { name: 'operator' });
    stream().say('signed_out', {});
    expect(cache.getQueryData(keys.me)).toBeNull();
    vi.advanceTimersByTime(10 * SILENCE_MS);
    expect(Stream.opened).toHaveLength(1);
  });

  it('is one stream, however many listen', () => {
    const second = feed.start();
    stop();
    expect(stream().readyState).toBe(1);
    expect(Stream.opened).toHaveLength(1);
    second();
    expect(stream().readyState).toBe(2);
    stop = () => {};
  });
});

it('lists that overlap become one, in their order', () => {
  const older = [{ seq: 1 }, { seq: 2 }];
  expect(merged(older, [{ seq: 2 }, { seq: 3 }], seqOf).map(seqOf)).toEqual([1, 2, 3]);
  expect(merged([], older, seqOf)).toEqual(older);
  expect(merged(older, [], seqOf)).toEqual(older);
});
