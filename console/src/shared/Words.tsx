/** A sentence in which `commands` between backticks are set as such. */
export function Words({ children }: { children: string }) {
  return children.split('`').map((part, i) =>
    i % 2 === 1 ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a sentence never move
      <code key={i} className="mono">
        {part}
      </code>
    ) : (
      part
    ),
  );
}
