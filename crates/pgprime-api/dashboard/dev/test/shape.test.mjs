// What the sources must never hold, and how long they may be.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['.', 'lib', 'parts', 'pages', 'styles'];
const LINES_MAX = 400;
const sources = FOLDERS.flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => join(folder, name))).filter(
  (path) => /\.(js|css|html)$/.test(path),
);
const text = (path) => readFileSync(join(ROOT, path), 'utf8');

test('no markup from data, no code from text, nothing from elsewhere', () => {
  const forbidden = [
    /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write/,
    /\beval\(|new Function/,
    /https?:\/\//,
    /@import|url\(/,
    /<script(?![^>]*\bsrc=)/,
    /\sstyle="|\son[a-z]+="/,
  ];
  for (const path of sources) for (const pattern of forbidden) assert.doesNotMatch(text(path), pattern, path);
});

test('what is imported is there', () => {
  for (const path of sources.filter((each) => each.endsWith('.js'))) {
    for (const [, name] of text(path).matchAll(/^(?:import|export) .*? from '([^']+)'|^import '([^']+)'/gm))
      assert.ok(name.startsWith('.') && existsSync(join(ROOT, dirname(path), name)), `${path}: ${name}`);
  }
});

test('pure parts import only pure parts', () => {
  for (const path of sources.filter((each) => each.startsWith('lib')))
    assert.doesNotMatch(text(path), /from '\.\.\//, path);
});

test('files are short', () => {
  for (const path of sources) assert.ok(text(path).split('\n').length <= LINES_MAX, path);
});

test('what the page asks for is there, by relative addresses, so that it works below any path', () => {
  for (const [, address] of text('index.html').matchAll(/(?:src|href)="([^"]+)"/g)) {
    assert.ok(!address.startsWith('/'));
    if (!address.startsWith('api/')) assert.ok(existsSync(join(ROOT, address)), address);
  }
});
