import { openSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlServer } from '../../src/control/server.js';
import { Forwarder } from '../../src/index.js';
import { openFds } from '../helpers/process-facts.js';

let forwarder: Forwarder;
let server: ControlServer;

beforeEach(() => {
  forwarder = new Forwarder();
  server = new ControlServer({ forwarder, socketPath: '/x/1.sock', pid: 1, openedAtMs: 0 });
});
afterEach(async () => {
  server.close();
  await forwarder.close();
});

test('a connection that cannot be served is closed, and nothing is thrown', () => {
  const before = openFds();
  // As one that the loop cannot watch.
  server.accept(openSync('/proc/self/exe', 'r'));
  expect(openFds()).toBe(before);
});
