// collected.ts: a process that lets go of forwarders and watches what the garbage collector does.

import { Forwarder } from '../../../src/index.js';
import { serve } from '../../helpers/rpc.js';
import { until } from '../../helpers/wait.js';

async function isCollected(object: WeakRef<object>): Promise<boolean> {
  try {
    await until(
      () => {
        globalThis.gc?.();
        return object.deref() === undefined;
      },
      'the object is collected',
      2_000,
    );
    return true;
  } catch {
    return false;
  }
}

async function make(
  pid: number,
  port: number,
): Promise<{ forwarder: Forwarder; hostPort: number }> {
  const forwarder = new Forwarder({ netns: { pid } });
  const { host } = await forwarder.add({
    host: { address: '127.0.0.1', port: 0 },
    container: { port },
  });
  return { forwarder, hostPort: host.port };
}

async function makeAndClose(pid: number, port: number): Promise<WeakRef<Forwarder>> {
  const { forwarder } = await make(pid, port);
  await forwarder.close();
  return new WeakRef(forwarder);
}

const handlers = {
  /** Whether a closed forwarder that nothing refers to is collected. */
  async closed({ pid, port }: { pid: number; port: number }): Promise<boolean> {
    return isCollected(await makeAndClose(pid, port));
  },
  /**
   * Drops a forwarder without closing it, and collects garbage for a while; the port of its
   * forward.
   */
  async dropped({ pid, port }: { pid: number; port: number }): Promise<number> {
    const { hostPort } = await make(pid, port);
    for (let i = 0; i < 10; i += 1) {
      globalThis.gc?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return hostPort;
  },
  /** Makes forwarders and drops them, some closed, some not. */
  async many({ pid, port }: { pid: number; port: number }): Promise<void> {
    for (let i = 0; i < 20; i += 1) {
      await makeAndClose(pid, port);
      new Forwarder({ netns: { pid } });
      globalThis.gc?.();
    }
  },
};

/** What the program serves to the test. */
export type CollectedApi = typeof handlers;

serve(handlers);
