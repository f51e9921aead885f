// Fills vendor/ from the npm registry: the versions below, unchanged but for the names by which modules import one
// another, because a browser finds no bare name without an import map, and an import map would be an inline script.
// Run: node dev/vendor.mjs DIRECTORY, where DIRECTORY holds what `npm pack NAME@VERSION` wrote.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const packages = [
  {
    name: 'preact',
    version: '11.2.0',
    licence: 'MIT',
    files: { 'dist/preact.mjs': 'preact.js', 'hooks/dist/hooks.mjs': 'preact-hooks.js' },
  },
  { name: 'htm', version: '3.1.1', licence: 'Apache-2.0', files: { 'dist/htm.module.js': 'htm.js' } },
  {
    name: '@preact/signals-core',
    version: '1.14.5',
    licence: 'MIT',
    files: { 'dist/signals-core.mjs': 'signals-core.js' },
  },
  { name: '@preact/signals', version: '2.11.4', licence: 'MIT', files: { 'dist/signals.mjs': 'signals.js' } },
  {
    name: 'uplot',
    version: '1.6.32',
    licence: 'MIT',
    files: { 'dist/uPlot.esm.js': 'uplot.js', 'dist/uPlot.min.css': 'uplot.css' },
  },
];
const names = {
  preact: './preact.js',
  'preact/hooks': './preact-hooks.js',
  '@preact/signals-core': './signals-core.js',
};

/** @param {string} source */
function withOwnNames(source) {
  return source
    .replace(/(\bfrom\s*|\bimport\s*)(["'])([^"'./][^"']*)\2/g, (whole, keyword, quote, name) =>
      names[name] ? `${keyword}${quote}${names[name]}${quote}` : whole,
    )
    .replace(/^\/\/# sourceMappingURL=.*$/m, '');
}

/** @param {typeof packages[number]} wanted @param {string} from @param {string} to */
function unpack(wanted, from, to) {
  const slug = wanted.name.replace('@', '').replace('/', '-');
  const tarball = join(from, `${slug}-${wanted.version}.tgz`);
  const folder = mkdtempSync(join(tmpdir(), 'vendor-'));
  execFileSync('tar', ['xzf', tarball, '-C', folder, '--strip-components=1']);
  for (const [source, target] of Object.entries(wanted.files)) {
    writeFileSync(join(to, target), withOwnNames(readFileSync(join(folder, source), 'utf8')));
  }
  copyFileSync(join(folder, 'LICENSE'), join(to, 'licences', `${slug}.txt`));
  rmSync(folder, { recursive: true });
  const digest = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  const files = Object.values(wanted.files)
    .map((file) => `\`${file}\``)
    .join(', ');
  return `| ${wanted.name} | ${wanted.version} | ${wanted.licence} | ${files} | \`sha512-${digest}\` |`;
}

const target = new URL('../vendor/', import.meta.url).pathname;
mkdirSync(join(target, 'licences'), { recursive: true });
const rows = packages.map((wanted) => unpack(wanted, process.argv[2] ?? '.', target));
writeFileSync(
  join(target, 'README.md'),
  `# Libraries of others

As published on the npm registry; only the names by which the modules import one another were changed, and references to
source maps were taken out. \`dev/vendor.mjs\` makes this folder from the packages. Licences are in \`licences/\`.

| package | version | licence | files | integrity of the package |
|---|---|---|---|---|
${rows.join('\n')}
`,
);
