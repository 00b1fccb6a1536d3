// use-shim-runs.ts: what tests of shims and their resident begin with.

import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { Container, type TcpService } from '../../helpers/container.js';
import type { PackageCopy } from './package-copy.js';
import { requestForResident, requestReload } from './reload-client.js';
import { freePort, podmanMapping, type Run } from './run.js';
import { ShimRuns } from './shim-runs.js';

/**
 * A container with an echo server for all tests of a file; for each test, a place for shims and a
 * resident.
 */
export class ShimRunsFixture {
  container!: Container;
  echo!: TcpService;
  runs!: ShimRuns;

  /**
   * Starts a container with one port, which leads to the echo server. @param copy - Whose shim it
   * is.
   */
  async start(id: string, copy?: PackageCopy): Promise<Run & { readonly port: number }> {
    const port = await freePort();
    const mapping = podmanMapping({ host_port: port, container_port: this.echo.port });
    const changes = { ContainerID: id, ChildIP: '127.0.0.1' };
    return Object.assign(await this.runs.start([mapping], changes, copy && [copy.shim]), { port });
  }

  /** Has the resident reload it; the reply. */
  reload(id: string): Promise<string> {
    return requestReload('seqpacket', this.runs.reloadPath(id), requestForResident('127.0.0.1'));
  }
}

/**
 * Registers the hooks that fill the fixture; they run before those that the file registers after
 * this call.
 */
export function useShimRuns(): ShimRunsFixture {
  const fixture = new ShimRunsFixture();
  beforeAll(async () => {
    fixture.container = await Container.start();
    fixture.echo = await fixture.container.tcp({ kind: 'echo' }, { address: '0.0.0.0' });
  });
  afterAll(() => fixture.container.stop());
  beforeEach(() => {
    fixture.runs = new ShimRuns(`/proc/${fixture.container.pid}/ns/net`);
  });
  afterEach(() => fixture.runs[Symbol.asyncDispose]());
  return fixture;
}
