// Whom the reload socket is for: this user and root, whatever the modes of files say.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { askTcp } from '../helpers/tcp-client.js';
import { expectRefusal } from './helpers/refusal.js';
import { requestReload } from './helpers/reload-client.js';
import { executable, Run } from './helpers/run.js';
import { isWithoutStrangers, sendAsStranger } from './helpers/stranger.js';
import { useHelper } from './helpers/use-helper.js';

const fixture = useHelper();

const addresses = ['127.0.0.1', '127.0.0.2'] as const;
let containerPort: number;

beforeAll(async () => {
  const [first, second] = addresses;
  const greet = (address: string) => ({ kind: 'greet', text: address }) as const;
  containerPort = (await fixture.container.tcp(greet(first), { address: first })).port;
  await fixture.container.tcp(greet(second), { address: second, port: containerPort });
});

const socketPath = () => join(fixture.caller.folder, 'rp/c0ffee');

/** Of a helper whose reload socket is a stream. */
const config = () =>
  fixture.caller.config([{ hostPort: fixture.port, containerPort, protocol: 'tcp', hostIP: '' }], {
    RootlessCNI: true,
  });

/** Of a helper that is started where new files are open to everybody. */
const withOpenUmask = { command: ['sh', '-c', 'umask 0 && exec "$0"', executable] };

const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('the reload socket', () => {
  test('is open only to this user, whatever the umask', async () => {
    await using run = await new Run(config(), withOpenUmask).ready();
    expect(modeOf(socketPath())).toBe(0o600);
    expect(modeOf(dirname(socketPath()))).toBe(0o700);
    await run.letGo();
  });

  test('closes a folder to other users that was open to them', async () => {
    mkdirSync(dirname(socketPath()));
    chmodSync(dirname(socketPath()), 0o755);
    await using run = await new Run(config()).ready();
    expect(modeOf(dirname(socketPath()))).toBe(0o700);
    expect(await requestReload('stream', socketPath(), '"127.0.0.2"\n')).toBe('OK');
    await run.letGo();
  });

  test('is not created in a folder that is a link', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'spliceport-elsewhere-'));
    symlinkSync(elsewhere, dirname(socketPath()));
    try {
      await expectRefusal(fixture.caller, config(), /: not a directory$/, {
        ports: [fixture.port],
      });
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  test.skipIf(isWithoutStrangers('the reload socket with strangers'))(
    'rejects another user with the reason, even if the modes of files allow it',
    async () => {
      await using run = await new Run(config()).ready();
      chmodSync(fixture.caller.folder, 0o755);
      chmodSync(dirname(socketPath()), 0o755);
      chmodSync(socketPath(), 0o666);
      const { text } = await sendAsStranger(socketPath(), '"127.0.0.2"\n');
      expect(text).toBe('this socket is for user 0 and root, and you are user 65534');
      expect(await askTcp({ port: fixture.port })).toBe('127.0.0.1');
      expect(await requestReload('stream', socketPath(), '"127.0.0.2"\n')).toBe('OK');
      expect(await askTcp({ port: fixture.port })).toBe('127.0.0.2');
      await run.letGo();
    },
  );
});
