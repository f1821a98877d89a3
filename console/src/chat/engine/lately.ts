/** What counts for a while after it was heard: that somebody types, that somebody is there. */
export class Lately {
  private readonly untilMs = new Map<string, number>();

  /** @param forMs How long it counts. */
  constructor(private readonly forMs: number) {}

  /**
   * It was heard.
   *
   * @param atMs When it was said: what waited at the relay says nothing about now. A clock that is
   *   ahead does not make it count for longer.
   */
  heard(whose: string, atMs = Date.now()): void {
    const untilMs = Math.min(atMs, Date.now()) + this.forMs;
    if (untilMs > (this.untilMs.get(whose) ?? Date.now())) this.untilMs.set(whose, untilMs);
  }

  /** It is over before its time. */
  ended(whose: string): void {
    this.untilMs.delete(whose);
  }

  has(whose: string): boolean {
    return (this.untilMs.get(whose) ?? 0) > Date.now();
  }

  /** Forget those whose time has passed; whether there were any. */
  sweep(): boolean {
    const over = [...this.untilMs.keys()].filter((whose) => !this.has(whose));
    for (const whose of over) this.untilMs.delete(whose);
    return over.length > 0;
  }
}
