// no-threads.ts: forwards, and asks for more, when its user may have no more threads.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { Forwarder, SpliceportSystemError, type ForwardSpec } from '../../../src/index.js';
import { setInterfaceUp } from '../../../src/system.js';
import { serve } from '../../helpers/rpc.js';
import { until } from '../../helpers/wait.js';

/** What an attempt failed with. */
async function failureOf(attempt: () => unknown): Promise<unknown> {
  try {
    await attempt();
  } catch (error) {
    if (!(error instanceof SpliceportSystemError)) throw error;
    const { code, syscall, side, hint } = error;
    return { code, syscall, side, hint: hint?.includes('pids.max') };
  }
  return 'nothing failed';
}

const handlers = {
  async run() {
    setInterfaceUp('lo');
    const other = spawn('unshare', ['--net', 'sleep', '1000'], { stdio: 'ignore' });
    await once(other, 'spawn');
    const own = readlinkSync('/proc/self/ns/net');
    await until(() => readlinkSync(`/proc/${other.pid}/ns/net`) !== own, 'the other namespace');
    await using forwarder = new Forwarder({ netns: { pid: process.pid } });
    const range = (count: number): ForwardSpec => ({
      host: { address: '127.0.0.1', port: 20_000 },
      container: { port: 30_000 },
      count,
    });
    const { id } = await forwarder.add('127.0.0.1:0:80');
    execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1']);
    const netns = { pid: other.pid ?? 0 };
    const told: string[] = [];
    forwarder.on('warning', (_forward, message) => void told.push(message));
    const outcome = {
      start: await failureOf(() => new Forwarder()),
      add: await failureOf(() =>
        forwarder.add({ container: { port: 80 }, host: { port: 0 }, netns }),
      ),
      retarget: await failureOf(() => forwarder.retarget(id, { netns })),
      many: (await forwarder.addAll([range(100)])).length,
      warnings: (
        await forwarder.addAll([
          { host: { port: 0 }, container: { port: 80 }, sourceAddress: 'transparent' },
        ])
      ).map(({ warning }) => [warning?.includes('pids.max'), told[0] === warning, told.length]),
    };
    other.kill();
    return outcome;
  },
};

/** What the program serves to the test. */
export type NoThreadsApi = typeof handlers;

serve(handlers);
