// go-json.ts: reads JSON as Go's encoding/json does, for callers that were written against it.
// JSON.parse decides what is JSON; this tells apart what JSON.parse makes equal: the spelling of
// numbers, and a key that is given twice.

/** A value as it stands in the source. */
export interface JsonSource {
  readonly kind: 'array' | 'bool' | 'null' | 'number' | 'object' | 'string';
  readonly text: string;
}

/** A member of an object. */
export interface JsonMember {
  readonly key: string;
  readonly value: JsonSource;
}

/** By the first character. */
const KINDS: Readonly<Record<string, JsonSource['kind']>> = {
  '{': 'object',
  '[': 'array',
  '"': 'string',
  t: 'bool',
  f: 'bool',
  n: 'null',
};

/** Deeper than this, Go gives up. */
const MAX_DEPTH = 10_000;

/**
 * Checks a text.
 * @throws SyntaxError
 */
export function parseJson(text: string): JsonSource {
  JSON.parse(text);
  const source = sourceOf(text);
  if (source.kind === 'array' || source.kind === 'object') {
    let depth = 0;
    for (const { delta } of punctuation(source.text)) {
      depth += delta;
      if (depth > MAX_DEPTH) throw new SyntaxError('exceeded max depth');
    }
  }
  return source;
}

/** The members of an object, in their order, one for each time that a key is given. */
export function* membersOf(object: JsonSource): Generator<JsonMember> {
  for (const text of itemsOf(object.text)) {
    const end = endOfString(text, 0) + 1;
    const colon = text.indexOf(':', end);
    yield { key: stringOf(text.slice(0, end)), value: sourceOf(text.slice(colon + 1)) };
  }
}

/** The elements of an array. */
export function* elementsOf(array: JsonSource): Generator<JsonSource> {
  for (const text of itemsOf(array.text)) yield sourceOf(text);
}

/** The value of a string literal. */
export function stringOf(literal: string): string {
  return JSON.parse(literal) as string;
}

/**
 * Equal for two keys that Go takes for one: letters match without case, as do the Kelvin sign and
 * the long s.
 */
export function foldKey(key: string): string {
  return key.replace(/[a-z\u017f\u212a]/g, (letter) =>
    letter === '\u212a' ? 'K' : letter.toUpperCase(),
  );
}

function sourceOf(padded: string): JsonSource {
  const text = padded.trim();
  return { kind: KINDS[text.charAt(0)] ?? 'number', text };
}

/** Splits an object or array at the commas of its own level. */
function* itemsOf(container: string): Generator<string> {
  let depth = 0;
  let start = 1;
  for (const { at, delta } of punctuation(container)) {
    depth += delta;
    if (depth === 0 || (depth === 1 && delta === 0)) {
      const item = container.slice(start, at).trim();
      if (item !== '') yield item;
      start = at + 1;
    }
  }
}

/** Brackets (1 opens, -1 closes) and commas (0) outside of strings. */
function* punctuation(text: string): Generator<{ readonly at: number; readonly delta: number }> {
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at);
    else if (character === '{' || character === '[') yield { at, delta: 1 };
    else if (character === '}' || character === ']') yield { at, delta: -1 };
    else if (character === ',') yield { at, delta: 0 };
  }
}

/** Where the string that opens at `at` closes. */
function endOfString(text: string, at: number): number {
  for (let next = at + 1; ; next++) {
    if (text[next] === '\\') next++;
    else if (text[next] === '"') return next;
  }
}
