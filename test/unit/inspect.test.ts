import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Forwarder } from '../../src/index.js';

test('a forwarder shows whether it is closed, and its forwards', async () => {
  const forwarder = new Forwarder({ netns: { pid: process.pid } });
  const { host } = await forwarder.add('127.0.0.1:0:80');
  const shown = inspect(forwarder, { depth: 4 });
  expect(shown).toMatch(/^Forwarder \{\s+closed: false,\s+forwards: \[/);
  expect(shown).toContain(`port: ${host.port}`);
  await forwarder.close();
  expect(inspect(forwarder)).toBe('Forwarder { closed: true, forwards: [] }');
});
