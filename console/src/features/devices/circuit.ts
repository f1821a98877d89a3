import { devices as say } from '../../texts/devices';

/** What an outcome is called: 0000 to 1111, wire 0 first. */
export const outcome = (number: number) => number.toString(2).padStart(4, '0');

/** The circuit in words, for those who do not see it drawn. */
export function inWords(angles: readonly number[]): string {
  const turns = angles.map((angle, wire) =>
    say.turn(wire, say.wires[wire] ?? '', angle.toFixed(2)),
  );
  return say.circuitOf(turns.join('; '));
}

/** The likeliest outcomes with their probabilities, the likeliest first. */
export function likeliest(probabilities: readonly number[], most = 3): string {
  return probabilities
    .map((share, number) => ({ share, number }))
    .sort((a, b) => b.share - a.share || a.number - b.number)
    .slice(0, most)
    .map(({ share, number }) => `${outcome(number)} with ${(share * 100).toFixed(0)} %`)
    .join(', ');
}
