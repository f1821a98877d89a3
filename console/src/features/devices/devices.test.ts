import { describe, expect, it } from 'vitest';
import { inWords, likeliest, outcome } from './circuit';
import { pathOf } from './qr';
import { lineOf, seriesOf } from './series';
import { shieldOf } from './shield';

const numbered = (...rows: string[]) => rows.map((text, number) => ({ number, text }));

describe('readings', () => {
  it('have the numbers of JSON as quantities, and not what counts or dates them', () => {
    const readings = numbered(
      '{"celsius": 20.5, "number": 1, "place": "roof", "humidity": 40}',
      '{"celsius": 21, "number": 2, "place": "roof", "humidity": 41}',
    );
    expect(seriesOf({ begin: readings[0]?.text ?? '', readings })).toEqual([
      { name: 'celsius', values: [20.5, 21] },
      { name: 'humidity', values: [40, 41] },
    ]);
  });

  it('have columns of CSV by the header, which is no reading', () => {
    const readings = numbered('when,"celsius"', '12:00,20', '12:01,22');
    expect(seriesOf({ begin: 'when,"celsius"', readings })).toEqual([
      { name: 'celsius', values: [20, 22] },
    ]);
  });

  it('have columns by their number where there is no header', () => {
    expect(seriesOf({ begin: '1,20', readings: numbered('1,20', '2,22') })).toEqual([
      { name: '1', values: [1, 2] },
      { name: '2', values: [20, 22] },
    ]);
  });

  it('that were cut off, or say nothing in numbers, give nothing', () => {
    const readings = numbered('{"celsius": 20', '{"celsius": 2', 'rain', 'sun');
    expect(seriesOf({ begin: '{"celsius": 20', readings })).toEqual([]);
    expect(seriesOf({ begin: '', readings: [] })).toEqual([]);
  });

  it('are drawn from their lowest to their highest, also when nothing changes', () => {
    expect(lineOf([1, 3, 2], 100, 10)).toBe('0.0,10.0 50.0,0.0 100.0,5.0');
    expect(lineOf([7, 7], 100, 10)).toBe('0.0,10.0 100.0,10.0');
  });
});

describe('the circuit', () => {
  it('is said in words', () => {
    expect(outcome(5)).toBe('0101');
    expect(inWords([0.5, 1, 0, Math.PI])).toContain('Wire 3, address, second half: RY by 3.14');
    expect(likeliest([0.1, 0.6, 0.1, 0.2], 2)).toBe('0001 with 60 %, 0011 with 20 %');
  });
});

it('a session is post-quantum, and quantum where a key was mixed in', () => {
  const done = { qkd_source: null, qkd_keys: 0, refreshes: 0, resumed: 0, cipher: 'AES-256-GCM' };
  expect(shieldOf({ protection: null })).toBe('none');
  expect(shieldOf({ protection: done })).toBe('lattice');
  expect(shieldOf({ protection: { ...done, qkd_source: 'simulated', qkd_keys: 2 } })).toBe(
    'quantum',
  );
});

it('a QR code is one path, a run of dark squares at a time', () => {
  expect(pathOf(['1101', '0000', '0010'])).toBe('M0 0h2v1h-2zM3 0h1v1h-1zM2 2h1v1h-1z');
});
