// A process with many containers closes their logs one by one.

import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openForwarderLog } from '../../src/log/forwarder-log.js';
import { openFds } from '../helpers/process-facts.js';
import { isMissing } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';
import { FakeJournal, socat } from './helpers/journal.js';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const fileLog = () => {
  const log = openForwarderLog({ destination: join(folder, 'log') }, {});
  log.leaveStandardError();
  return log;
};

test('a log in a file that is closed has no descriptor left', () => {
  const before = openFds();
  const logs = Array.from({ length: 20 }, fileLog);
  expect(openFds()).toBe(before + 20);
  for (const log of logs) log.close();
  for (const log of logs) log.close();
  expect(openFds()).toBe(before);
});

test('a closed log does not write to the file that has its descriptor now', () => {
  const log = fileLog();
  log.info({}, 'kept');
  log.close();
  const other = join(folder, 'other');
  const fd = openSync(other, 'w');
  expect(fd).toBe(log.rawFd);
  log.info({}, 'lost');
  closeSync(fd);
  expect(readFileSync(other, 'utf8')).toBe('');
  const lines = readFileSync(join(folder, 'log'), 'utf8').trim().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['kept']);
});

test.skipIf(isMissing(socat, 'the journal'))(
  'a log in the journal that is closed has no descriptor left, and sends nothing',
  async () => {
    const journalSocket = join(folder, 'journal');
    await using journal = await FakeJournal.start(journalSocket);
    const streams = createServer((stream) => stream.resume()).listen(join(folder, 'stdout'));
    await once(streams, 'listening');
    const before = openFds();
    const logs = Array.from({ length: 20 }, () =>
      openForwarderLog({ destination: 'journal', journalSocket }, {}),
    );
    // A socket for records, and one for what the runtime writes.
    expect(openFds()).toBe(before + 40);
    const [first, ...others] = logs;
    for (const log of [...others, ...others]) log.close();
    others[0]?.info({ event: 'late' }, 'lost');
    first?.leaveStandardError();
    first?.info({ event: 'open' }, 'kept');
    await until(() => journal.entries.length > 0, 'the entry of the log that is open');
    expect(journal.entries.map((entry) => entry.get('MESSAGE'))).toEqual(['kept']);
    first?.close();
    streams.close();
    await until(() => openFds() <= before - 1, 'every socket is closed');
  },
);
