import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { sendPayload } from '../helpers/payload.js';
import { bundle, Program } from '../helpers/program.js';
import { askTcp, connectTcp, endingOf, isRefused, nextText } from '../helpers/tcp-client.js';
import type { WorkerHostApi } from './programs/worker-host.js';

const source = new URL('./programs/worker-host.ts', import.meta.url);
const file = bundle(new URL('./programs/forwarder-worker.ts', import.meta.url));

const busyFile = bundle(new URL('./programs/busy-worker.ts', import.meta.url));

const WORKERS = 4;

let container: Container;
let echoPort: number;
let program: Program;

function api() {
  return program.api<WorkerHostApi>();
}

beforeAll(async () => {
  container = await Container.start();
  ({ port: echoPort } = await container.tcp({ kind: 'echo' }));
});
afterAll(() => container.stop());
beforeEach(() => {
  program = new Program(source);
});
afterEach(async () => {
  expect(await program.stop()).toEqual({ code: 0, signal: null });
  expect(program.stderr).toBe('');
});

function start(): Promise<number> {
  return api().start({ file, pid: container.pid, port: echoPort });
}

/** A connection that has bytes under way in both directions all the time. */
async function pour(port: number) {
  const socket = await connectTcp({ port });
  const ending = endingOf(socket);
  const sending = sendPayload(socket, 1 << 40).catch(() => undefined);
  return { socket, ended: Promise.all([ending, sending]).then(([how]) => how) };
}

describe('worker threads with a forwarder', () => {
  test('forward, several at once, and end by themselves when they are closed', async () => {
    const before = await api().facts();
    const ports = await Promise.all(Array.from({ length: WORKERS }, start));
    const answers = ports.map((port) => askTcp({ port }, `by ${port}`));
    expect(await Promise.all(answers)).toEqual(ports.map((port) => `by ${port}`));
    expect((await api().facts()).engineThreads).toBe(2 * WORKERS);
    const codes = await Promise.all(ports.map((port) => api().finish({ port })));
    expect(codes).toEqual(ports.map(() => 0));
    expect(await api().facts()).toEqual(before);
  });

  test('can be terminated during traffic, which cuts clients, frees the port and leaves no descriptor', async () => {
    const before = await api().facts();
    for (let round = 0; round < 5; round += 1) {
      const port = await start();
      const clients = await Promise.all([pour(port), pour(port), pour(port)]);
      await Promise.all(clients.map(({ socket }) => nextBytes(socket)));
      await api().terminate({ port });
      expect(await isRefused({ port })).toBe(true);
      const endings = await Promise.all(clients.map(({ ended }) => ended));
      for (const { ended, errorCode } of endings) {
        expect(ended || errorCode !== undefined).toBe(true);
      }
      expect(await api().facts()).toEqual(before);
    }
  });

  test('do not affect each other when one is terminated', async () => {
    const ports = await Promise.all(Array.from({ length: WORKERS }, start));
    const sockets = await Promise.all(ports.map((port) => connectTcp({ port })));
    for (const [index, port] of ports.entries()) {
      await api().terminate({ port });
      for (const socket of sockets.slice(index + 1)) {
        socket.write('still there?');
        expect(await nextText(socket)).toBe('still there?');
      }
    }
    for (const socket of sockets) socket.destroy();
  });

  test('can all be terminated at once', async () => {
    const before = await api().facts();
    const ports = await Promise.all(Array.from({ length: WORKERS }, start));
    const clients = await Promise.all(ports.map(pour));
    await Promise.all(clients.map(({ socket }) => nextBytes(socket)));
    await Promise.all(ports.map((port) => api().terminate({ port })));
    await Promise.all(clients.map(({ ended }) => ended));
    expect(await api().facts()).toEqual(before);
  });

  test.each(['exit', 'terminate', 'throw'] as const)(
    'can end by %s with callbacks of a removal and a watched descriptor due',
    async (how) => {
      for (let round = 0; round < 5; round += 1) {
        const code = await api().endBusy({
          file: busyFile,
          pid: container.pid,
          port: echoPort,
          how,
        });
        expect(code).toBe(how === 'exit' ? 0 : 1);
      }
    },
  );

  test('can be running when the process exits', async () => {
    const port = await start();
    const { socket, ended } = await pour(port);
    await nextBytes(socket);
    expect(await program.stop()).toEqual({ code: 0, signal: null });
    await ended;
  });
});

function nextBytes(socket: Awaited<ReturnType<typeof connectTcp>>): Promise<void> {
  return new Promise((resolve) => socket.once('data', () => resolve()));
}
