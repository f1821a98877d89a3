/** Every sentence about what Eve hears of a message's session, in the lab. */
export const eve = {
  title: 'Eve listens, in the lab',
  what: 'What crossed the public channel between the two nodes, as anybody with the wire has it: which pairs arrived, the bases, what was opened, parities, tags. The pad is in none of it. Of the message she has what the relay carries: payloads of 512, 4,096 or 16,384 bytes, sealed.',
  off: 'This site is no lab, so nothing is overheard for you. Whoever holds the wire between the nodes hears the same all the time.',
  gone: 'The site’s node overhears the latest messages alone, and has none of this session any more.',
  waits: 'She waits for the first message …',
  trouble: 'The site’s node does not say now what she hears.',
  sum: (messages: string, bytes: string) => `${messages} messages, ${bytes} bytes`,
  log: 'What Eve hears',
  who: { alice: 'Alice', bob: 'Bob' } as Readonly<Record<string, string>>,
  bytes: (size: string) => `${size} B`,
  active: 'Let her touch the light',
  activeWhat: 'on the page Network, where operators of a lab set her on the link.',
} as const;
