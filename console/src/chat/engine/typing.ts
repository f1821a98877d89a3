/** Who types, and when we said last that we do: a word of it counts for some seconds. */

const EVERY_MS = 3000;
const FOR_MS = 6000;

export class Typing {
  private readonly saidMs = new Map<string, number>();
  private readonly untilMs = new Map<string, number>();

  /** Whether we are to say now that we type there, and then we have. */
  isDue(where: string): boolean {
    const isSoon = Date.now() - (this.saidMs.get(where) ?? 0) < EVERY_MS;
    if (!isSoon) this.saidMs.set(where, Date.now());
    return !isSoon;
  }

  /** They have said it. */
  heard(where: string): void {
    this.untilMs.set(where, Date.now() + FOR_MS);
  }

  /** What they typed has come. */
  ended(where: string): void {
    this.untilMs.delete(where);
  }

  has(where: string): boolean {
    return (this.untilMs.get(where) ?? 0) > Date.now();
  }

  /** Forget those whose time has passed; whether there were any. */
  sweep(): boolean {
    const over = [...this.untilMs.keys()].filter((where) => !this.has(where));
    for (const where of over) this.untilMs.delete(where);
    return over.length > 0;
  }
}
