// Shims outlive residents, and an upgrade: a resident must understand the shims of earlier
// versions, and a shim the residents. What both have said in each version is recorded, and is said
// again to those of today.
//
// `SPLICEPORT_RECORD=1 npx vitest run test/contract/recorded-protocol.test.ts` records this
// version.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlClient } from '../../src/control/client.js';
import { readHello, statsReader } from '../../src/remote/messages.js';
import { readAllEnded, readFailures, readSessions } from '../../src/remote/sections.js';
import { Reader } from '../../src/remote/wire.js';
import { Container } from '../helpers/container.js';
import { askTcp } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';
import { ReplayedResident, ReplayedShim, sectionsOf } from './helpers/replayed-protocol.js';
import {
  movedPayload,
  passOn,
  ProtocolGround,
  type RecordedFrame,
  type Recording,
} from './helpers/recorded-protocol.js';
import { requestReload } from './helpers/reload-client.js';
import { freePort } from './helpers/run.js';
import { readAnswer } from './helpers/shim-frames.js';

const folder = fileURLToPath(new URL('fixtures/shim-protocol-1/', import.meta.url));
const CONTAINER_PORT = 8_080;

let container: Container;
beforeAll(async () => {
  container = await Container.start();
  await container.tcp({ kind: 'echo' }, { address: '127.0.0.1', port: CONTAINER_PORT });
});
afterAll(() => container.stop());

/** A container that starts, is asked of everything, loses its resident, and ends. */
async function record(version: string): Promise<Recording> {
  await using ground = new ProtocolGround(container.pid);
  const port = await freePort();
  const connections: RecordedFrame[][] = [];
  let close = (): void => undefined;
  const meet = async (): Promise<void> => {
    const shim = await until(() => ground.accept() ?? false, 'a shim');
    const frames: RecordedFrame[] = [];
    connections.push(frames);
    close = passOn(shim, ground.connect(), frames);
  };
  await using run = ground.run(port, CONTAINER_PORT);
  await meet();
  await run.ready();
  const path = join(ground.folder, 'control', `${run.pid}.sock`);
  const hasFrame = (kind: string) => connections.at(-1)?.some((frame) => frame.kind === kind);
  await until(() => statSync(path, { throwIfNoEntry: false }) !== undefined, 'a control socket');
  const control = new ControlClient(path);
  expect(await askTcp({ port }, 'hello')).toBe('hello');
  await until(() => hasFrame('e'), 'the end of a session');
  const [added] = await control.add([
    { host: { address: '127.0.0.1', port: 0 }, container: { port: 1 } },
  ]);
  await askTcp({ port: added?.host.port ?? 0 }, '').catch(() => undefined);
  await until(() => hasFrame('f'), 'a failure');
  await control.retarget(added?.id ?? 0, { port: CONTAINER_PORT });
  await Promise.all([control.stats(), control.sessions()]);
  await control.remove(added?.id ?? 0);
  const reload = () => requestReload('seqpacket', join(ground.folder, 'rp/c0ffee'), '"127.0.0.1"');
  expect(await reload()).toBe('OK');
  await ground.killResident();
  close();
  await meet();
  expect(await reload()).toBe('OK');
  await run.letGo();
  await until(() => hasFrame('b'), 'the last words');
  close();
  return { version, folder: ground.folder, port, containerPort: CONTAINER_PORT, connections };
}

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  }
).version;

if (process.env['SPLICEPORT_RECORD'] !== undefined) {
  test('records this version', async () => {
    const recording = await record(version);
    writeFileSync(join(folder, `${version}.json`), `${JSON.stringify(recording, undefined, 2)}\n`);
  });
}

const recordings = readdirSync(folder).map(
  (name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Recording,
);

describe.each(recordings)('the shim of version $version', (recording) => {
  test('is served by the resident of today, which says all that it knew, and adds at the ends', async () => {
    await using ground = new ProtocolGround(container.pid);
    for (const frames of recording.connections) {
      using shim = new ReplayedShim(ground.connect(), recording, frames, ground.folder);
      await until(() => shim.isDone(), 'what the resident has said before');
      expect(shim.strange()).toEqual([]);
      expect(shim.replies()).toEqual(['OK']);
    }
  });

  test('says what can be read', () => {
    const [first = [], second = []] = recording.connections;
    const ofShim = (frames: readonly RecordedFrame[], kind: string) =>
      frames
        .filter((frame) => frame.from === 'shim' && frame.kind === kind)
        .map((frame) => movedPayload(frame, recording, { folder: recording.folder }));
    const hellos = [first, second].map((frames) =>
      readHello(ofShim(frames, 'H')[0] ?? Buffer.alloc(0)),
    );
    expect(hellos).toMatchObject([
      { protocol: 1, version: recording.version, workingDirectory: '/', state: undefined },
      { state: { forwards: [{ id: 1, host: { port: recording.port } }, { protocol: 'udp' }] } },
    ]);
    const whole = <T>(payload: Buffer, read: (from: Reader) => T): T => {
      const from = new Reader(payload);
      const value = read(from);
      expect(from.left).toBe(0);
      return value;
    };
    expect(ofShim(first, 'f').map((each) => whole(each, readFailures))).toMatchObject([
      [{ id: 3, ending: 'connect-failed' }],
    ]);
    const stats = statsReader(hellos[1]?.counterNames ?? []);
    const [bye] = ofShim(second, 'b').map((each) =>
      whole(each, (from) => [stats(from), readAllEnded(from)] as const),
    );
    expect(bye?.[0]).toMatchObject({ sessionsTotal: 2, connectFailures: 1 });
    const results = resultsOf(recording, first);
    const ended = results.flatMap(([kind, result]) =>
      kind === 'U' ? whole(result, readAllEnded) : [],
    );
    expect(ended).toMatchObject([{ forwardId: 1, ending: 'fin' }, { ending: 'connect-failed' }]);
    for (const [kind, result] of results) {
      if (kind === 'Y') expect(whole(result, (from) => readSessions().read(from))).toEqual([]);
    }
  });
});

/** Each section that was asked for, and what it resulted in. */
function resultsOf(recording: Recording, frames: readonly RecordedFrame[]): [string, Buffer][] {
  const to = { folder: recording.folder };
  const of = (from: RecordedFrame['from'], kind: string) =>
    frames.filter((frame) => frame.from === from && frame.kind === kind);
  const requests = of('resident', 'r').map((frame) =>
    sectionsOf(movedPayload(frame, recording, to)),
  );
  return of('shim', 'k').flatMap((frame, index) => {
    const { results } = readAnswer(movedPayload(frame, recording, to));
    return results.map((result, at): [string, Buffer] => [
      requests[index]?.[at]?.kind ?? '',
      result,
    ]);
  });
}

test.each(recordings)(
  'the resident of version $version can use the shim of today',
  async (recording) => {
    await using ground = new ProtocolGround(container.pid);
    const port = await freePort();
    await using run = ground.run(port, CONTAINER_PORT);
    for (const frames of recording.connections) {
      const fd = await until(() => ground.accept() ?? false, 'a shim');
      using resident = new ReplayedResident(fd, recording, frames, { folder: ground.folder, port });
      await until(() => resident.isDone(), 'an answer to every request');
      expect(resident.failures()).toEqual([]);
      expect(await askTcp({ port }, 'hello')).toBe('hello');
    }
    expect(await run.readiness).toBe('1');
  },
);
