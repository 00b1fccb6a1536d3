// Whom the reload socket is for: this user and root, whatever the modes of files say.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { askTcp } from '../helpers/tcp-client.js';
import { expectRefusal } from './helpers/refusal.js';
import { requestReload } from './helpers/reload-client.js';
import { Caller, executable, freePort, Run } from './helpers/run.js';
import { isWithoutStrangers, sendAsStranger } from './helpers/stranger.js';

const addresses = ['127.0.0.1', '127.0.0.2'] as const;
let container: Container;
let containerPort: number;
let caller: Caller;
let port: number;

beforeAll(async () => {
  container = await Container.start();
  const [first, second] = addresses;
  const greet = (address: string) => ({ kind: 'greet', text: address }) as const;
  containerPort = (await container.tcp(greet(first), { address: first })).port;
  await container.tcp(greet(second), { address: second, port: containerPort });
});
afterAll(() => container.stop());
beforeEach(async () => {
  caller = new Caller(`/proc/${container.pid}/ns/net`);
  port = await freePort();
});
afterEach(() => caller[Symbol.dispose]());

const socketPath = () => join(caller.folder, 'rp/c0ffee');

/** Of a helper whose reload socket is a stream. */
const config = () =>
  caller.config([{ hostPort: port, containerPort, protocol: 'tcp', hostIP: '' }], {
    RootlessCNI: true,
  });

/** Of a helper that is started where new files are open to everybody. */
const withOpenUmask = { command: ['sh', '-c', 'umask 0 && exec "$0"', executable] };

const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('the reload socket', () => {
  test('is this user’s alone, whatever the umask', async () => {
    await using run = await new Run(config(), withOpenUmask).ready();
    expect(modeOf(socketPath())).toBe(0o600);
    expect(modeOf(dirname(socketPath()))).toBe(0o700);
    await run.letGo();
  });

  test('closes a folder to others that was open to them', async () => {
    mkdirSync(dirname(socketPath()));
    chmodSync(dirname(socketPath()), 0o755);
    await using run = await new Run(config()).ready();
    expect(modeOf(dirname(socketPath()))).toBe(0o700);
    expect(await requestReload('stream', socketPath(), '"127.0.0.2"\n')).toBe('OK');
    await run.letGo();
  });

  test('is not made in a folder that a link leads to', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'spliceport-elsewhere-'));
    symlinkSync(elsewhere, dirname(socketPath()));
    try {
      await expectRefusal(caller, config(), /: not a directory$/, { ports: [port] });
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  test.skipIf(isWithoutStrangers('the reload socket with strangers'))(
    'refuses another user, with the reason, where the modes of files would let it in',
    async () => {
      await using run = await new Run(config()).ready();
      chmodSync(caller.folder, 0o755);
      chmodSync(dirname(socketPath()), 0o755);
      chmodSync(socketPath(), 0o666);
      const { text } = await sendAsStranger(socketPath(), '"127.0.0.2"\n');
      expect(text).toBe('this socket is for user 0 and root, and you are user 65534');
      expect(await askTcp({ port })).toBe('127.0.0.1');
      expect(await requestReload('stream', socketPath(), '"127.0.0.2"\n')).toBe('OK');
      expect(await askTcp({ port })).toBe('127.0.0.2');
      await run.letGo();
    },
  );
});
