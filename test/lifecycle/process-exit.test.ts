import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { Program, type Exit } from '../helpers/program.js';
import { within } from '../helpers/wait.js';
import { EXIT_CODE, stages, ways, type Way } from './stages.js';

const source = new URL('./programs/ending.ts', import.meta.url);

const expected: Record<Way, Exit> = {
  exit: { code: EXIT_CODE, signal: null },
  'natural end': { code: 0, signal: null },
  exception: { code: 1, signal: null },
  SIGTERM: { code: null, signal: 'SIGTERM' },
  'SIGTERM, handled': { code: EXIT_CODE, signal: null },
};

let container: Container;
let ports: string[];

beforeAll(async () => {
  container = await Container.start();
  const tcp = await container.tcp({ kind: 'echo' });
  const udp = await container.udp({ echo: true });
  ports = [tcp.port, udp.port].map(String);
});
afterAll(() => container.stop());

describe.each(stages)('a process with a forwarder that is %s', (stage) => {
  test.each(ways)('exits cleanly by %s', async (way) => {
    const args = [stage, way, String(container.pid), ...ports];
    await using program = new Program(source, { args });
    expect(await within(program.exited, 'its end')).toEqual(expected[way]);
    if (way === 'exception') expect(program.stderr).toContain('Error: on purpose');
    else expect(program.stderr).toBe('');
  });
});
