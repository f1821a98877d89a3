import { createTheme, type MantineColorsTuple } from '@mantine/core';

/** The one accent: light of the link, keys, and what can be done. Status has colours of its own. */
const photon: MantineColorsTuple = [
  '#e8f3ff',
  '#cfe4ff',
  '#a3cbff',
  '#77b3ff',
  '#5aa3fb',
  '#3d8ef0',
  '#1a6dd0',
  '#0b62c4',
  '#084f9f',
  '#063c7a',
];

const ink: MantineColorsTuple = [
  '#e6edf5',
  '#b9c6d6',
  '#93a4b8',
  '#64768c',
  '#33445a',
  '#223147',
  '#172334',
  '#101a28',
  '#0a111b',
  '#060b13',
];

/** Of what breaks something on purpose; white on it can be read. */
const alarm: MantineColorsTuple = [
  '#ffecec',
  '#ffd6d7',
  '#ffabad',
  '#ff8a8d',
  '#f2666b',
  '#e24a52',
  '#cb303b',
  '#bd1e2c',
  '#97151f',
  '#720e16',
];

export const theme = createTheme({
  primaryColor: 'photon',
  primaryShade: { light: 7, dark: 6 },
  colors: { photon, dark: ink, red: alarm },
  fontFamily: "'Inter Variable', system-ui, sans-serif",
  fontFamilyMonospace: "'JetBrains Mono Variable', ui-monospace, monospace",
  headings: { fontWeight: '650' },
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
});
