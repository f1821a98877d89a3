/** Numbers and times as people read them; a dash where nothing is known. */

export const NOTHING = '–';

const counts = new Intl.NumberFormat('en-GB');

export function count(value: number): string {
  return counts.format(value);
}

export function percent(ratio: number | null | undefined, digits = 1): string {
  return ratio == null ? NOTHING : `${(ratio * 100).toFixed(digits)} %`;
}

export function decimal(value: number | null | undefined, digits = 2): string {
  return value == null ? NOTHING : value.toFixed(digits);
}

function scaled(value: number, unit: string): string {
  for (const [factor, prefix] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (Math.abs(value) >= factor) {
      const short = value / factor;
      return `${short.toFixed(short < 100 ? 1 : 0)} ${prefix}${unit}`;
    }
  }
  return `${value.toFixed(value === 0 || value >= 10 ? 0 : 1)} ${unit}`;
}

export function bits(value: number | null | undefined): string {
  return value == null ? NOTHING : scaled(value, 'bit');
}

export function bitRate(value: number | null | undefined): string {
  return value == null ? NOTHING : scaled(value, 'bit/s');
}

/** A length of time in its two largest units. */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return NOTHING;
  const whole = Math.max(0, Math.round(seconds));
  const [days, hours, minutes] = [whole / 86400, (whole / 3600) % 24, (whole / 60) % 60].map(
    Math.floor,
  ) as [number, number, number];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min ${whole % 60} s`;
  return `${whole} s`;
}

const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** Time of day of seconds since 1970. */
export function timeOfDay(seconds: number): string {
  return clock.format(seconds * 1000);
}

export function dateAndTime(seconds: number): string {
  return moment.format(seconds * 1000);
}

/** Time of day if it is today, else with the date. */
export function momentOf(seconds: number): string {
  const isToday = new Date(seconds * 1000).toDateString() === new Date().toDateString();
  return isToday ? timeOfDay(seconds) : dateAndTime(seconds);
}
