// use-controlled.ts: what tests of the control API begin with.

import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { Forward } from '../../../src/index.js';
import { Container, type TcpService } from '../../helpers/container.js';
import { Controlled } from './control.js';

/**
 * A container with an echo server for all tests of a file; for each test, a forwarder with a
 * forward to the server.
 */
export class ControlledFixture {
  container!: Container;
  echo!: TcpService;
  controlled!: Controlled;
  forward!: Forward;
}

/**
 * Registers the hooks that fill the fixture; they run before those that the file registers after
 * this call.
 */
export function useControlled(): ControlledFixture {
  const fixture = new ControlledFixture();
  beforeAll(async () => {
    fixture.container = await Container.start();
    fixture.echo = await fixture.container.tcp({ kind: 'echo' });
  });
  afterAll(() => fixture.container.stop());
  beforeEach(async () => {
    const { container, echo } = fixture;
    fixture.controlled = new Controlled(`/proc/${container.pid}/ns/net`, {
      program: 'test',
      container: { id: 'c0ffee', pid: container.pid },
      notices: ['a notice'],
    });
    fixture.forward = await fixture.controlled.forwarder.add(`127.0.0.1:0:${echo.port}`);
  });
  afterEach(() => fixture.controlled[Symbol.asyncDispose]());
  return fixture;
}
