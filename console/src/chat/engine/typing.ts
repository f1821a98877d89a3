import { Lately } from './lately';

const EVERY_MS = 3000;
const FOR_MS = 6000;

/** Who types, and when we said last that we do: a word of it counts for some seconds. */
export class Typing extends Lately {
  private readonly saidMs = new Map<string, number>();

  constructor() {
    super(FOR_MS);
  }

  /** Whether we are to say now that we type there, and then we have. */
  isDue(where: string): boolean {
    const isSoon = Date.now() - (this.saidMs.get(where) ?? 0) < EVERY_MS;
    if (!isSoon) this.saidMs.set(where, Date.now());
    return !isSoon;
  }
}
