// Ends of sessions on their way to whoever reads what `spliceport forward` prints.

import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { sessionReports } from '../../src/cli/forward/session-reports.js';
import type { EndedSession } from '../../src/index.js';

const ended: EndedSession = {
  forwardId: 1,
  protocol: 'tcp',
  client: { address: '127.0.0.1', port: 50_000 },
  target: { address: '127.0.0.1', port: 80 },
  bytesToContainer: 1,
  bytesToHost: 2,
  durationMs: 3,
  ending: 'fin',
};

/** A stream that is written to with each report, and reports to it. */
function reports(highWaterMark: number) {
  const stream = new PassThrough({ highWaterMark });
  const writable = stream as unknown as NodeJS.WriteStream;
  return { stream, report: sessionReports(() => void stream.write('line'), writable) };
}

const isPending = (promise: unknown): Promise<boolean> =>
  Promise.race([
    Promise.resolve(promise).then(() => false),
    new Promise<boolean>((resume) => setImmediate(() => resume(true))),
  ]);

test('reports of sessions wait in the queue while nobody reads the output', async () => {
  const { stream, report } = reports(1);
  const batch = report([ended, ended]);
  expect(await isPending(batch)).toBe(true);
  stream.resume();
  await batch;
});

test('reports of sessions do not wait for a reader that has left', async () => {
  const { stream, report } = reports(1);
  const batch = report([ended]);
  stream.destroy();
  await batch;
});

test('reports of sessions are written at once while somebody reads the output', async () => {
  const { report } = reports(1_000);
  expect(await isPending(report([ended]))).toBe(false);
});
