import { describe, expect, test } from 'vitest';
import { ControlError } from '../../src/control/client.js';
import { exitCodes, failureOf, usageFailure } from '../../src/cli/failure.js';
import { SpliceportError, SpliceportSystemError } from '../../src/index.js';

describe('failureOf', () => {
  test.each([
    ['ERR_SPLICEPORT_ALREADY_FORWARDED', exitCodes.portTaken],
    ['ERR_SPLICEPORT_NETNS_GONE', exitCodes.notFound],
    ['ERR_SPLICEPORT_NO_SUCH_FORWARD', exitCodes.notFound],
    ['ERR_SPLICEPORT_CLOSED', exitCodes.failed],
    ['EADDRINUSE', exitCodes.portTaken],
    ['EACCES', exitCodes.notAllowed],
    ['EPERM', exitCodes.notAllowed],
    ['EMFILE', exitCodes.failed],
  ])('chooses the exit code by the error code %s', (code, exitCode) => {
    expect(failureOf(new SpliceportError(code, 'text'))).toMatchObject({
      message: 'text',
      exitCode,
      code,
    });
  });

  test('keeps the hint of a system error, and of the control API', () => {
    const error = new SpliceportSystemError({ errno: -98, syscall: 'bind' }, { hint: 'advice' });
    expect(failureOf(error).hint).toBe('advice');
    expect(failureOf(new ControlError('text', { hint: 'other' })).hint).toBe('other');
  });

  test('adds a hint if the error has none', () => {
    const error = new SpliceportError('ERR_SPLICEPORT_NO_SUCH_FORWARD', 'text');
    expect(failureOf(error).hint).toContain('spliceport ls');
  });

  test('passes its own failures on as they are', () => {
    const failure = usageFailure('text', 'hint');
    expect(failureOf(failure)).toBe(failure);
    expect(failure.exitCode).toBe(exitCodes.usage);
  });

  test('reports everything else as an internal error, with its stack', () => {
    const failure = failureOf(new TypeError('oops'));
    expect(failure.exitCode).toBe(exitCodes.failed);
    expect(failure.message).toMatch(/internal error: TypeError: oops\n +at /);
    expect(failureOf('thrown').message).toContain('thrown');
    expect(failureOf(undefined).message).toContain('undefined');
    expect(failureOf(null).message).toContain('null');
  });
});
