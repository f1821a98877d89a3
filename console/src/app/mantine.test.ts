import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SOURCES = join(import.meta.dirname, '..');
const STYLES = join(SOURCES, '../node_modules/@mantine/core/styles');

it('has the styles of every component of the library that a page uses', () => {
  const used = new Set<string>();
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' });
  for (const file of files.filter((each) => each.endsWith('.tsx'))) {
    const source = readFileSync(join(SOURCES, file), 'utf8');
    for (const [, names = ''] of source.matchAll(/import \{([^}]+)\} from '@mantine\/core'/g))
      for (const name of names.split(',')) used.add(name.trim());
  }
  expect(used).toContain('Button');
  const there = readFileSync(join(SOURCES, 'app/mantine.css'), 'utf8');
  const styled = [...used].filter((name) => existsSync(join(STYLES, `${name}.css`)));
  expect(styled.filter((name) => !there.includes(`styles/${name}.css"`))).toEqual([]);
});
