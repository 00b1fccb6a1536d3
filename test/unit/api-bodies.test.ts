import { describe, expect, test } from 'vitest';
import {
  addRequest,
  checked,
  drainRequest,
  parseJson,
  removeQuery,
  sessionsQuery,
  targetChange,
} from '../../src/api/bodies.js';
import { Problem } from '../../src/api/problem.js';

function messageOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(Problem);
    expect((error as Problem).status).toBe(400);
    return (error as Problem).message;
  }
  throw new Error('nothing was refused');
}

describe('what is sent', () => {
  test('is given back with its type when it is right', () => {
    const specs = ['8080:80', { host: { port: 0 }, container: { port: 80 }, netns: { pid: 1 } }];
    expect(checked(addRequest, { specs }, 'body')).toEqual({ specs });
    expect(checked(targetChange, {}, 'body')).toEqual({});
    expect(checked(drainRequest, { drainMs: 5 }, 'body')).toEqual({ drainMs: 5 });
  });

  test('is told of by every field that is wrong, and where it is', () => {
    const body = { address: 1, port: 'x', more: true };
    const message = messageOf(() => checked(targetChange, body, 'body'));
    expect(message.split('; ').sort()).toEqual([
      'body.address: Invalid input: expected string, received number',
      'body.port: Invalid input: expected number, received string',
      'body: Unrecognized key: "more"',
    ]);
  });

  test('is held against what it comes closest to, where it may be several things', () => {
    const message = (spec: unknown) =>
      messageOf(() => checked(addRequest, { specs: ['8080:80', spec] }, 'body'));
    const right = { host: { port: 0 }, container: { port: 80 } };
    expect(message({ ...right, host: {} })).toBe(
      'body.specs[1].host.port: Invalid input: expected number, received undefined',
    );
    expect(message({ ...right, hots: 1 })).toBe('body.specs[1]: Unrecognized key: "hots"');
    expect(message(8080)).toBe('body.specs[1]: Invalid input: expected string or object');
  });

  test('is a number where a query says one', () => {
    expect(checked(removeQuery, { drainMs: '250' }, 'query')).toEqual({ drainMs: 250 });
    expect(checked(removeQuery, {}, 'query')).toEqual({});
    expect(checked(sessionsQuery, { forwardId: '3' }, 'query')).toEqual({ forwardId: 3 });
    for (const drainMs of ['x', '-1', '1.5', '86400001', 'Infinity']) {
      expect(messageOf(() => checked(removeQuery, { drainMs }, 'query'))).toContain(
        'query.drainMs',
      );
    }
    expect(messageOf(() => checked(sessionsQuery, { forwardId: '' }, 'query'))).toContain(
      'query.forwardId',
    );
  });

  test('is JSON', () => {
    expect(parseJson('{"a":1}')).toEqual({ a: 1 });
    expect(messageOf(() => parseJson('{'))).toMatch(/^the body is not JSON: /);
  });
});
