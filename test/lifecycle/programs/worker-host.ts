// worker-host.ts: a process that runs forwarders in worker threads and loads the addon nowhere
// else.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { serve } from '../../helpers/rpc.js';
import { describeFds, threadNames } from '../../helpers/process-facts.js';

const workers = new Map<number, Worker>();

function find(port: number): Worker {
  const worker = workers.get(port);
  if (worker === undefined) throw new Error(`no worker has port ${port}`);
  workers.delete(port);
  return worker;
}

const handlers = {
  /** Starts a worker; the port that its forward listens on. */
  async start({ file, ...workerData }: WorkerStart): Promise<number> {
    const worker = new Worker(file, { workerData });
    const [port] = (await once(worker, 'message')) as [number];
    workers.set(port, worker);
    return port;
  },
  /** Ends a worker from outside, whatever it is doing; its exit code. */
  terminate({ port }: { port: number }): Promise<number> {
    return find(port).terminate();
  },
  /** Has a worker close its forwarder, and come to its end by itself; its exit code. */
  async finish({ port }: { port: number }): Promise<number> {
    const worker = find(port);
    worker.postMessage('close');
    const [code] = (await once(worker, 'exit')) as [number];
    return code;
  },
  /** Runs a worker that is ended while it has callbacks to come; its exit code. */
  endBusy({ file, how, ...container }: BusyWorker): Promise<number> {
    const worker = new Worker(file, { workerData: { ...container, how } });
    worker.on('error', () => undefined);
    if (how === 'terminate') worker.once('message', () => void worker.terminate());
    // Not once() of node:events, which rejects at an 'error'.
    return new Promise((resolve) => worker.once('exit', resolve));
  },
  facts(): { fds: string[]; engineThreads: number } {
    const engineThreads = threadNames().filter((name) => name.startsWith('spliceport')).length;
    return { fds: describeFds(), engineThreads };
  },
};

interface WorkerStart {
  /** The compiled worker. */
  readonly file: string;
  /** The container, and the port of the server in it. */
  readonly pid: number;
  readonly port: number;
}

interface BusyWorker extends WorkerStart {
  readonly how: 'exit' | 'terminate' | 'throw';
}

/** What the program serves to the test. */
export type WorkerHostApi = typeof handlers;

serve(handlers);
