import { describe, expect, test } from 'vitest';
import { makeLog } from '../../src/log/log.js';
import { repeatedKeys } from '../contract/helpers/json-keys.js';

describe('a log', () => {
  test('has no key twice, whatever it is given', () => {
    const lines: string[] = [];
    const sink = { write: (line: string): number => lines.push(line) };
    const log = makeLog({ level: 'info', facts: { pid: 1 }, sink });
    log.info({ pid: 2, level: 'x', time: 0, message: 'y', inner: { pid: 3 } }, 'text');
    const [line = ''] = lines;
    expect(repeatedKeys(line)).toEqual([]);
    expect(JSON.parse(line)).toMatchObject({ pid: 1, message: 'text', inner: { pid: 3 } });
  });

  test.each([
    ['{"a":1,"a":2}', ['a']],
    ['{"a":{"a":1},"b":["a","a"],"c":"\\"a\\":1"}', []],
    ['[{"a":1},{"a":2,"b":{"c":1,"c":1}}]', ['c']],
  ])('%s has these keys twice: %j', (text, keys) => {
    expect(repeatedKeys(text)).toEqual(keys);
  });
});
