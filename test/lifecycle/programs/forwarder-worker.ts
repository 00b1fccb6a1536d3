// forwarder-worker.ts: a worker thread with a forwarder. Tells the port of its forward, closes when
// told to.

import { parentPort, workerData } from 'node:worker_threads';
import { Forwarder } from '../../../src/index.js';

const { pid, port } = workerData as { readonly pid: number; readonly port: number };

const forwarder = new Forwarder({ netns: { pid } });
const { host } = await forwarder.add({
  host: { address: '127.0.0.1', port: 0 },
  container: { port },
});
parentPort?.postMessage(host.port);
parentPort?.once('message', () => {
  void forwarder.close();
});
