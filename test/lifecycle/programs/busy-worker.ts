// busy-worker.ts: a worker thread that ends, or is ended, when a removal and a watched descriptor
// are about to call back.

import { openSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { binding } from '../../../src/engine/binding.js';
import { Forwarder } from '../../../src/index.js';

const { pid, port, how } = workerData as {
  readonly pid: number;
  readonly port: number;
  readonly how: 'exit' | 'terminate' | 'throw';
};

const forwarder = new Forwarder({ netns: { pid } });
const { id } = await forwarder.add({
  host: { address: '127.0.0.1', port: 0 },
  container: { port },
});
// Readable all the time.
new binding.FdWatcher(openSync('/proc/self/mounts', 'r'), () => undefined);
void forwarder.remove(id);
parentPort?.postMessage('removed');
if (how === 'exit') process.exit();
if (how === 'throw') throw new Error('the end of this worker');
