// @ts-check
// SQL cut into words for colouring, and shortened for tables. Pure; what it does not understand is plain text.

/** @typedef {{kind: 'keyword' | 'string' | 'number' | 'comment' | 'parameter' | 'plain', text: string}} Token */

const KEYWORDS = new Set(
  `all alter always analyze and any as asc between by cascade case cast check cluster column
  concurrently constraint create cross current default delete desc distinct do drop else end except execute exists explain
  extension false fetch filter first for foreign from full function generated grant group having if ilike in include index
  inner insert intersect interval into is join key last lateral left like limit materialized natural not null nulls of
  offset on only or order outer over partition primary recursive references refresh reindex reset returning revoke right
  select set show similar system table tablespace then to true truncate union unique update using vacuum values view when
  where window with`.split(/\s+/),
);

const PATTERN = new RegExp(
  [
    String.raw`(?<comment>--[^\n]*|/\*[\s\S]*?(?:\*/|$))`,
    String.raw`(?<string>'(?:[^']|'')*'?|\$(?<tag>[A-Za-z_]\w*)?\$[\s\S]*?(?:\$\k<tag>\$|$))`,
    String.raw`(?<parameter>\$\d+)`,
    String.raw`(?<quoted>"(?:[^"]|"")*"?)`,
    String.raw`(?<number>\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b)`,
    String.raw`(?<word>[A-Za-z_][\w$]*)`,
  ].join('|'),
  'gi',
);

/** @param {string} sql @returns {Token[]} */
export function sqlTokens(sql) {
  /** @type {Token[]} */
  const tokens = [];
  let end = 0;
  for (const match of sql.matchAll(PATTERN)) {
    if (match.index > end) add(tokens, 'plain', sql.slice(end, match.index));
    add(tokens, kindOf(match), match[0]);
    end = match.index + match[0].length;
  }
  if (end < sql.length) add(tokens, 'plain', sql.slice(end));
  return tokens;
}

/** @param {RegExpMatchArray} match @returns {Token['kind']} */
function kindOf(match) {
  const found = match.groups ?? {};
  if (found.comment !== undefined) return 'comment';
  if (found.string !== undefined) return 'string';
  if (found.parameter !== undefined) return 'parameter';
  if (found.number !== undefined) return 'number';
  return found.word !== undefined && KEYWORDS.has(found.word.toLowerCase()) ? 'keyword' : 'plain';
}

/**
 * Neighbours of one kind become one, as each costs an element.
 * @param {Token[]} tokens
 * @param {Token['kind']} kind
 * @param {string} text
 */
function add(tokens, kind, text) {
  const last = tokens.at(-1);
  if (last?.kind === kind && kind === 'plain') last.text += text;
  else tokens.push({ kind, text });
}

/** One line of at most so many characters. @param {string} sql @param {number} charactersMax */
export function oneLine(sql, charactersMax) {
  const line = sql.replace(/\s+/g, ' ').trim();
  return line.length <= charactersMax ? line : `${line.slice(0, charactersMax - 1).trimEnd()}…`;
}
