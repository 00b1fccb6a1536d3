import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { describeErrno } from '../../src/errno.js';
import {
  closedError,
  invalidArgType,
  noSuchForward,
  outOfRange,
  SpliceportError,
  SpliceportSystemError,
} from '../../src/errors.js';

const { EACCES, EADDRINUSE, EPERM } = constants.errno;

async function bindTwice(host: string): Promise<{ error: NodeJS.ErrnoException; port: number }> {
  const first = createServer().listen(0, host);
  await once(first, 'listening');
  const { port } = first.address() as AddressInfo;
  try {
    const [error] = (await once(createServer().listen(port, host), 'error')) as [Error];
    return { error, port };
  } finally {
    first.close();
  }
}

function propertiesOf(error: Error): Record<string, unknown> {
  return Object.fromEntries(Object.entries(error));
}

describe('SpliceportSystemError', () => {
  test.each(['127.0.0.1', '::1'])(
    'looks like the error that Node makes for %s',
    async (address) => {
      const { error: expected, port } = await bindTwice(address);
      const error = new SpliceportSystemError(
        { errno: -EADDRINUSE, syscall: 'listen' },
        { address, port },
      );
      expect(error.message).toBe(expected.message);
      expect(propertiesOf(error)).toEqual(propertiesOf(expected));
    },
  );

  test('has the side, the protocol and a hint, which are not part of the message', () => {
    const error = new SpliceportSystemError(
      { errno: -EACCES, syscall: 'bind' },
      { side: 'host', protocol: 'udp', address: '::', port: 53, hint: 'Choose another port.' },
    );
    expect(error.message).toBe('bind EACCES: permission denied :::53');
    expect(propertiesOf(error)).toEqual({
      code: 'EACCES',
      errno: -EACCES,
      syscall: 'bind',
      side: 'host',
      protocol: 'udp',
      address: '::',
      port: 53,
      hint: 'Choose another port.',
    });
  });

  test('names the path if there is one, and has no property for what is unknown', () => {
    const failure = { errno: -EPERM, syscall: 'setns' };
    const error = new SpliceportSystemError(failure, { side: 'container', path: '/run/netns/web' });
    expect(error.message).toBe('setns EPERM: operation not permitted /run/netns/web');
    expect(Object.keys(error).sort()).toEqual(['code', 'errno', 'path', 'side', 'syscall']);
    expect(new SpliceportSystemError(failure).message).toBe('setns EPERM: operation not permitted');
  });

  test('is a SpliceportError and an Error, by its own name', () => {
    const error = new SpliceportSystemError({ errno: -EPERM, syscall: 'setns' });
    expect(error).toBeInstanceOf(SpliceportError);
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toMatch(/^SpliceportSystemError: /);
    expect(error.stack).toContain('errors.test.ts');
  });
});

test('an errno without a name is reported by its number', () => {
  expect(describeErrno(-4095).text).toMatch(/^(end of file|Unknown system error -4095)$/);
  expect(describeErrno(-3999)).toEqual({
    code: 'Unknown system error -3999',
    text: 'Unknown system error -3999',
  });
});

describe('argument errors', () => {
  test.each([
    [undefined, 'nothing'],
    [null, 'null'],
    ['80', '"80" of type string'],
    [1.5, '1.5 of type number'],
    [10n, '10 of type bigint'],
    [Symbol('port'), 'Symbol(port) of type symbol'],
    [[80], 'an array of type object'],
    [{ port: 80 }, 'an object of type object'],
    [() => 80, 'a function of type function'],
    ['x'.repeat(1_000), `"${'x'.repeat(99)}… of type string`],
  ])('show the value as it is: %o', (value, shown) => {
    expect(invalidArgType('port', 'an integer', value).message).toBe(
      `Expected an integer for port but received ${shown}`,
    );
  });

  test('are JavaScript’s own classes, with a code', () => {
    expect(invalidArgType('port', 'an integer', '80')).toBeInstanceOf(TypeError);
    expect(invalidArgType('port', 'an integer', '80').code).toBe('ERR_SPLICEPORT_INVALID_ARG_TYPE');
    expect(outOfRange('port', 'an integer from 1 to 9', 10)).toBeInstanceOf(RangeError);
    expect(outOfRange('port', 'an integer from 1 to 9', 10).code).toBe(
      'ERR_SPLICEPORT_OUT_OF_RANGE',
    );
  });
});

test('the error of a closed forwarder carries the reason of an abort', () => {
  const reason = new Error('shutting down');
  expect(closedError(reason)).toMatchObject({ code: 'ERR_SPLICEPORT_CLOSED', cause: reason });
  expect(closedError()).not.toHaveProperty('cause');
});

test('the error of an unknown forward carries the id', () => {
  expect(noSuchForward(7)).toMatchObject({
    code: 'ERR_SPLICEPORT_NO_SUCH_FORWARD',
    forwardId: 7,
    message: 'There is no forward 7',
  });
});
