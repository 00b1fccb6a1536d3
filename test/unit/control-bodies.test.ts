import { describe, expect, test } from 'vitest';
import {
  addRequest,
  checked,
  drainRequest,
  parseJson,
  removeQuery,
  sessionsQuery,
  targetChange,
} from '../../src/control/bodies.js';
import { Problem } from '../../src/control/problem.js';

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

const right = { host: { port: 0 }, container: { port: 80 } };

describe('the body of a call', () => {
  test('is returned with its type if it is valid', () => {
    const specs = ['8080:80', { host: { port: 0 }, container: { port: 80 }, netns: { pid: 1 } }];
    expect(checked(addRequest, { specs }, 'body')).toEqual({ specs });
    expect(checked(targetChange, {}, 'body')).toEqual({});
    expect(checked(drainRequest, { drainMs: 5 }, 'body')).toEqual({ drainMs: 5 });
  });

  test('is rejected with every invalid field and its place', () => {
    const body = { address: 1, port: 'x', more: true };
    const message = messageOf(() => checked(targetChange, body, 'body'));
    expect(message.split('; ').sort()).toEqual([
      'body has unknown fields: more',
      'body.address must be a string',
      'body.port must be an integer',
    ]);
  });

  test('is compared with the closest of the forms that are possible', () => {
    const message = (spec: unknown) =>
      messageOf(() => checked(addRequest, { specs: ['8080:80', spec] }, 'body'));
    expect(message({ ...right, host: {} })).toBe('body.specs[1].host.port is missing');
    expect(message({ ...right, hots: 1 })).toBe('body.specs[1] has unknown fields: hots');
    expect(message(8080)).toBe('body.specs[1] must be a string or an object');
  });

  test.each<[value: unknown, message: string]>([
    [{}, 'body.specs is missing'],
    [{ specs: 1 }, 'body.specs must be an array'],
    [{ specs: [] }, 'body.specs must have at least 1'],
    [null, 'body must be an object'],
    [{ specs: [{ ...right, protocol: 'sctp' }] }, 'body.specs[0].protocol must be "tcp" or "udp"'],
    [{ specs: [{ ...right, count: 1.5 }] }, 'body.specs[0].count must be an integer'],
    [{ specs: [{ ...right, acceptProxy: 1 }] }, 'body.specs[0].acceptProxy must be true or false'],
  ])('is rejected in plain words: %j', (value, message) => {
    expect(messageOf(() => checked(addRequest, value, 'body'))).toBe(message);
  });

  test.each([
    [{ forwardId: 'x' }, 'query.forwardId must be an integer'],
    [{ forwardId: '0' }, 'query.forwardId must be at least 1'],
  ])('is rejected in plain words in a query: %j', (query, message) => {
    expect(messageOf(() => checked(sessionsQuery, query, 'query'))).toBe(message);
  });

  test('may be a number in a query', () => {
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

  test('must be JSON', () => {
    expect(parseJson('{"a":1}')).toEqual({ a: 1 });
    expect(messageOf(() => parseJson('{'))).toMatch(/^the body is not JSON: /);
  });
});
