import { describe, expect, test } from 'vitest';
import { makeLog } from '../../src/log/log.js';
import { asLines } from '../../src/log/sinks.js';
import type { Log, LogRecord } from '../../src/log/log-types.js';
import { repeatedKeys } from '../contract/helpers/json-keys.js';

const missing: LogRecord = { level: '', time: '', message: '', facts: {}, json: '' };

/** A log, and what it has written. */
function recorded(): { readonly log: Log; readonly records: readonly LogRecord[] } {
  const records: LogRecord[] = [];
  const sink = { write: (record: LogRecord): number => records.push(record) };
  return { log: makeLog({ level: 'info', facts: { pid: 1 }, sink }), records };
}

describe('a log', () => {
  test('has no key twice, whatever the facts are', () => {
    const { log, records } = recorded();
    log.info({ pid: 2, level: 'x', time: 0, message: 'y', inner: { pid: 3 } }, 'text');
    const [{ json } = missing] = records;
    expect(repeatedKeys(json)).toEqual([]);
    expect(JSON.parse(json)).toMatchObject({ pid: 1, message: 'text', inner: { pid: 3 } });
  });

  test('gives sinks the record that the line of JSON is made of', () => {
    const { log, records } = recorded();
    log.warn({ event: 'first', pid: 2 }, 'one');
    log.error({ event: 'second', absent: undefined }, 'a "quoted" word');
    expect(records).toHaveLength(2);
    for (const { json, facts, ...rest } of records) {
      expect(JSON.parse(json)).toEqual({ ...rest, ...facts });
      expect(json).toMatch(/^\{"level":"\w+","time":"[^"]+","pid":1,"event":.*\}\n$/);
    }
    expect(records.map(({ level, message }) => `${level} ${message}`)).toEqual([
      'warn one',
      'error a "quoted" word',
    ]);
    expect(Date.parse(records[0]?.time ?? '')).toBeGreaterThan(Date.now() - 60_000);
  });

  test('has no lines below its level', () => {
    const { log, records } = recorded();
    log.debug({}, 'text');
    expect(records).toEqual([]);
  });

  test('is written as JSON or as text', () => {
    let text = '';
    const lines = { write: (line: string) => (text += line) };
    const record = { level: 'info', time: 'T', message: 'm', facts: {}, json: '{}\n' };
    asLines(lines, 'json').write(record);
    asLines(lines, 'text').write(record);
    expect(text).toBe('{}\nT info m\n');
  });

  test.each([
    ['{"a":1,"a":2}', ['a']],
    ['{"a":{"a":1},"b":["a","a"],"c":"\\"a\\":1"}', []],
    ['[{"a":1},{"a":2,"b":{"c":1,"c":1}}]', ['c']],
  ])('is checked for keys that occur twice: %s has %j', (text, keys) => {
    expect(repeatedKeys(text)).toEqual(keys);
  });
});
