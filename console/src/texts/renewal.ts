/** Every sentence about a session that is begun anew. */
export const renewal = {
  open: 'New session …',
  title: 'A new session',
  what: (name: string) =>
    `Ask for it if what ${name} says cannot be opened here any more, as pad that their keys are mixed with is gone. ${name}’s client begins it as soon as it is there, with keys that you sign now.`,
  stays:
    'Then each of you says again what the other has not confirmed, and it counts once. Pad from before serves neither of you any more. What was said stays, and so does the safety number.',
  ask: (name: string) => `Ask ${name} for it`,
  states: {
    asked: (name: string) =>
      `You asked for a new session: it begins once ${name} has opened what you said.`,
    ours: (name: string) =>
      `A new session with ${name} has begun, as you asked. What was not delivered goes again.`,
    theirs: (name: string) =>
      `A new session with ${name} has begun, at their wish: not all of yours could be opened there. What was not delivered goes again.`,
  },
} as const;
