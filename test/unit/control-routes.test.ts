import { describe, expect, test } from 'vitest';
import { failureOf, Problem, statusOf } from '../../src/control/problem.js';
import { findRoute, type Route } from '../../src/control/routes.js';
import { SpliceportError, SpliceportSystemError } from '../../src/index.js';

const route = (method: Route['method'], path: string): Route => ({
  method,
  path,
  answer: () => ({ status: 200 }),
});
const routes = [
  route('GET', '/v1/ports'),
  route('POST', '/v1/ports'),
  route('DELETE', '/v1/ports/{id}'),
];

function problemOf(method: string, path: string): Problem {
  try {
    findRoute(routes, method, path);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('there is a route');
}

describe('a route of the control API', () => {
  test('is found by its method and its path', () => {
    expect(findRoute(routes, 'POST', '/v1/ports').route).toBe(routes[1]);
    expect(findRoute(routes, 'HEAD', '/v1/ports').route).toBe(routes[0]);
    expect(findRoute(routes, 'DELETE', '/v1/ports/7')).toEqual({ route: routes[2], id: '7' });
  });

  test.each(['/', '/v1', '/v1/port', '/v1/ports/', '/v1/ports/7/', '/v1/ports//', '/V1/ports'])(
    'is missing, with status 404: %s',
    (path) => {
      expect(problemOf('GET', path)).toMatchObject({
        status: 404,
        message: `there is no ${path}`,
      });
    },
  );

  test('has a list of methods, which status 405 gives', () => {
    expect(problemOf('PATCH', '/v1/ports')).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD, POST' },
    });
    expect(problemOf('get', '/v1/ports').status).toBe(405);
  });
});

describe('an error of the control API', () => {
  const system = new SpliceportSystemError(
    { errno: -98, syscall: 'bind' },
    { hint: 'Another socket has this port.' },
  );

  test.each<[error: unknown, status: number]>([
    [new Problem(413, 'too long'), 413],
    [Object.assign(new TypeError('type'), { code: 'ERR_SPLICEPORT_INVALID_ARG_TYPE' }), 400],
    [Object.assign(new RangeError('range'), { code: 'ERR_SPLICEPORT_OUT_OF_RANGE' }), 400],
    [new SpliceportError('ERR_SPLICEPORT_NO_SUCH_FORWARD', 'none'), 404],
    [new SpliceportError('ERR_SPLICEPORT_CLOSED', 'closed'), 409],
    [system, 409],
    [new Error('a bug'), 500],
    [new TypeError('a bug'), 500],
  ])('has a status that says whose fault it is: %s', (error, status) => {
    expect(statusOf(error)).toBe(status);
  });

  test('is answered with its code and its hint, if it has them', () => {
    expect(failureOf(system)).toEqual({
      message: 'bind EADDRINUSE: address already in use',
      code: 'EADDRINUSE',
      hint: 'Another socket has this port.',
    });
    expect(failureOf(new Problem(400, 'bad'))).toEqual({ message: 'bad' });
    expect(failureOf('a text')).toEqual({ message: 'a text' });
  });
});
