import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { Program } from '../helpers/program.js';
import { askTcp } from '../helpers/tcp-client.js';
import type { CollectedApi } from './programs/collected.js';

const source = new URL('./programs/collected.ts', import.meta.url);

let container: Container;
let target: { pid: number; port: number };

beforeAll(async () => {
  container = await Container.start();
  const { port } = await container.tcp({ kind: 'echo' });
  target = { pid: container.pid, port };
});
afterAll(() => container.stop());

async function withProgram(test: (api: ReturnType<typeof apiOf>) => Promise<void>): Promise<void> {
  const program = new Program(source, { nodeArgs: ['--expose-gc'] });
  try {
    await test(apiOf(program));
  } finally {
    expect(await program.stop()).toEqual({ code: 0, signal: null });
  }
}

function apiOf(program: Program) {
  return program.api<CollectedApi>();
}

describe('a forwarder without references', () => {
  test('is collected if it is closed', () =>
    withProgram(async (api) => {
      expect(await api.closed(target)).toBe(true);
    }));

  test('keeps forwarding if it is not closed', () =>
    withProgram(async (api) => {
      const port = await api.dropped(target);
      expect(await askTcp({ port }, 'still there?')).toBe('still there?');
    }));

  test('does no harm in any state', () => withProgram((api) => api.many(target)));
});
