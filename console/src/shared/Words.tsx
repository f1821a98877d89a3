/** A command, which breaks between its words alone: never after the hyphens of an option. */
export function Command({ children }: { children: string }) {
  return children.split(/( )/).map((word, i) =>
    word === ' ' ? (
      word
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: the words of a command never move
      <span key={i} className="word">
        {word}
      </span>
    ),
  );
}

/** A sentence in which `commands` between backticks are set as such. */
export function Words({ children }: { children: string }) {
  return children.split('`').map((part, i) =>
    i % 2 === 1 ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a sentence never move
      <code key={i} className="mono">
        <Command>{part}</Command>
      </code>
    ) : (
      part
    ),
  );
}
