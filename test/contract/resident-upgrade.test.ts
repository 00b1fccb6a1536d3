// The package changes while containers run: it is upgraded, removed, or put back. Containers go on,
// and whoever asks for something is served by what is installed by then, or told why not.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isAlive } from '../helpers/process-facts.js';
import { askTcp, connectTcp, nextText } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';
import { call } from './helpers/control.js';
import { earlierVersion, PackageCopy, version } from './helpers/package-copy.js';
import type { Run } from './helpers/run.js';
import { useShimRuns } from './helpers/use-shim-runs.js';

const fixture = useShimRuns();

const folder = (name: string) => join(fixture.runs.folder, name);

/** The version of the resident that answers. */
async function residentVersion(run: Run): Promise<string> {
  return (await (await fixture.runs.control(run)).info()).version;
}

describe('a resident of an earlier version', () => {
  test('makes way for the one of a later shim, which serves the shims of both', async () => {
    fixture.runs.settings({ residentLingerSeconds: 'always' });
    await using early = await fixture.start('early', PackageCopy.earlier(folder('earlier')));
    const live = await connectTcp(early);
    const first = await fixture.runs.resident();
    expect(await residentVersion(early)).toBe(earlierVersion);

    await using late = await fixture.start('late');
    expect(await askTcp(late, 'late')).toBe('late');
    await until(() => !isAlive(first), 'the end of the first');
    for (const each of [late, early]) expect(await residentVersion(each)).toBe(version);
    expect(await fixture.reload('early')).toBe('OK');
    live.write('still here');
    expect(await nextText(live)).toBe('still here');
    live.destroy();
    expect(fixture.runs.residents()).toHaveLength(1);
  });

  test('leaves the logs of its containers to the next one', async () => {
    const log = folder('log');
    const lines = (event: string) =>
      readFileSync(log, 'utf8').split(`"event":"${event}"`).length - 1;
    fixture.runs.settings({ log: { destination: log, sessions: true, summaryIntervalMs: 100 } });
    await using early = await fixture.start('early', PackageCopy.earlier(folder('earlier')));
    await askTcp(early, 'one');
    await until(() => lines('session') === 1, 'the line of the first session');
    const first = await fixture.runs.resident();
    await using late = await fixture.start('late');
    await until(() => !isAlive(first), 'the end of the first');
    await askTcp(early, 'two');
    await until(() => lines('session') === 2, 'the line of the second session');
    await early.letGo();
    await late.letGo();
    await until(() => lines('closed') === 2, 'the last lines');
    expect(lines('session')).toBe(2);
  });

  test('that comes later than a later shim makes way for it, too', async () => {
    await using early = await fixture.start('early', PackageCopy.earlier(folder('earlier')));
    await using late = await fixture.start('late');
    await until(() => fixture.runs.residents().length === 1, 'the end of the first');
    await fixture.runs.killResident();
    expect(await residentVersion(early)).toBe(earlierVersion);
    expect(await residentVersion(late)).toBe(version);
    await until(() => fixture.runs.residents().length === 1, 'the end of the earlier one');
    for (const each of [early, late]) expect(await residentVersion(each)).toBe(version);
  });
});

describe('a resident', () => {
  test('stays when a shim of an earlier version comes', async () => {
    await using late = await fixture.start('late');
    const pid = await fixture.runs.resident();
    await using early = await fixture.start('early', PackageCopy.earlier(folder('earlier')));
    for (const each of [early, late]) expect(await residentVersion(each)).toBe(version);
    expect(await fixture.runs.resident()).toBe(pid);
  });

  test('is of the new package once that has taken the place of the old one', async () => {
    fixture.runs.settings({ residentLingerSeconds: 'always' });
    const copy = PackageCopy.earlier(folder('package'));
    await using each = await fixture.start('each', copy);
    const first = await fixture.runs.resident();
    copy.replaceBy(new PackageCopy(folder('other')));
    await until(() => !isAlive(first), 'the end of the first');
    expect(await residentVersion(each)).toBe(version);
    expect(await fixture.reload('each')).toBe('OK');
    expect(await askTcp(each, 'here')).toBe('here');
  });
});

describe('a package that is removed', () => {
  test('leaves the ports of containers as they are, and is missing to those who ask', async () => {
    const copy = new PackageCopy(folder('package'));
    await using each = await fixture.start('each', copy);
    const { socketPath } = await fixture.runs.control(each);
    const live = await connectTcp(each);
    copy.remove();
    await fixture.runs.killResident();

    expect(await askTcp(each, 'here')).toBe('here');
    live.write('still here');
    expect(await nextText(live)).toBe('still here');
    live.destroy();
    const [reloaded, called] = await Promise.all([
      fixture.reload('each'),
      call(socketPath, 'GET', '/v1/forwards'),
    ]);
    expect(reloaded).toMatch(/^rootless port failed to add port: .*resident.*No such file/);
    expect(called.status).toBe(503);
    expect(called.json).toEqual({ message: expect.stringContaining('No such file') as string });
    expect(existsSync(socketPath)).toBe(true);

    copy.putBack();
    expect(await fixture.reload('each')).toBe('OK');
    expect(await (await fixture.runs.control(each)).forwards()).toHaveLength(1);
    expect(await each.letGo()).toMatchObject({ code: 0 });
  });

  test('keeps its resident, which does without what is gone', async () => {
    fixture.runs.settings({ residentLingerSeconds: 'always' });
    const copy = new PackageCopy(folder('package'));
    await using each = await fixture.start('each', copy);
    const { socketPath } = await fixture.runs.control(each);
    const pid = await fixture.runs.resident();
    copy.remove();
    expect(await fixture.reload('each')).toBe('OK');
    expect(await call(socketPath, 'GET', '/v1/forwards')).toMatchObject({ status: 500 });
    copy.putBack();
    expect(await (await fixture.runs.control(each)).forwards()).toHaveLength(1);
    expect(await fixture.runs.resident()).toBe(pid);
  });
});
