// use-helper.ts: what tests that run the helper begin with.

import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { Container, type TcpService } from '../../helpers/container.js';
import { Caller, freePort, podmanMapping, type PodmanMapping } from './run.js';

/**
 * A container with an echo server for all tests of a file; for each test, a caller and a free port
 * of the host.
 */
export class HelperFixture {
  container!: Container;
  echo!: TcpService;
  caller!: Caller;
  port!: number;

  /** A mapping of the port to the echo server. */
  mapping(overrides: PodmanMapping = {}): PodmanMapping {
    return podmanMapping({
      host_port: this.port,
      container_port: this.echo.port,
      ...overrides,
    });
  }
}

/**
 * Registers the hooks that fill the fixture; they run before those that the file registers after
 * this call.
 */
export function useHelper(): HelperFixture {
  const fixture = new HelperFixture();
  beforeAll(async () => {
    fixture.container = await Container.start();
    fixture.echo = await fixture.container.tcp({ kind: 'echo' });
  });
  afterAll(() => fixture.container.stop());
  beforeEach(async () => {
    fixture.caller = new Caller(`/proc/${fixture.container.pid}/ns/net`);
    fixture.port = await freePort();
  });
  afterEach(() => fixture.caller[Symbol.dispose]());
  return fixture;
}
