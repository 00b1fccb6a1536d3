// json-keys.ts: what JSON.parse forgives and strict readers do not.

/** The keys that an object of a text of JSON has more than once, whichever object it is. */
export function repeatedKeys(text: string): string[] {
  const repeated: string[] = [];
  const open: Set<string>[] = [];
  for (const [token, word] of text.matchAll(/[{}]|"((?:[^"\\]|\\.)*)"(?:\s*:)?/g)) {
    if (token === '{') {
      open.push(new Set());
    } else if (token === '}') {
      open.pop();
    } else if (token.endsWith(':') && word !== undefined) {
      const keys = open.at(-1);
      if (keys?.has(word) === true) repeated.push(word);
      keys?.add(word);
    }
  }
  return repeated;
}
