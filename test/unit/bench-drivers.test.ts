// bench-drivers.test.ts: how the benchmark's command line names programs, where they are found, and
// that those of a Debian root run with the root's own libraries.

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DRIVER_KINDS, parseDriver } from '../../bench/drivers/index.js';
import { writeReport } from '../../bench/report.js';
import { compare, type Results } from '../../bench/results.js';
import { findProgram, isRoot, runnableOf } from '../../bench/root.js';
import { chooseScenarios } from '../../bench/scenarios/index.js';

const PEERS = ['rootlessport', 'pasta', 'haproxy', 'docker-proxy', 'socat', 'slirp4netns'];

let folder = '';

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'b-')));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function makeFile(name: string, text = '', mode = 0o755): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text, { mode });
  return file;
}

/** An empty Debian root with these packages. */
function makeRoot(packages: Readonly<Record<string, string>> = {}): void {
  makeFile(
    'var/lib/dpkg/status',
    Object.entries(packages)
      .map(
        ([name, version]) =>
          `Package: ${name}\nStatus: install ok installed\nMaintainer: nobody <n@example.org>\n` +
          `Architecture: all\nVersion: ${version}\nDescription: a package\n`,
      )
      .join('\n'),
  );
  makeFile('etc/os-release', 'PRETTY_NAME="Debian of the test"\n');
}

describe('a driver of the benchmark', () => {
  test.each(PEERS)('finds %s in the folder that the command line names', (kind) => {
    makeFile(kind);
    expect(parseDriver(`${kind}=${folder}`).missing() ?? '').not.toContain(folder);
  });

  test.each([
    ['rootlessport', 'usr/libexec/podman'],
    ['rootlessport', 'usr/lib/podman'],
    ['pasta', 'usr/bin'],
    ['haproxy', 'usr/sbin'],
  ])('finds %s in %s of a Debian root', (kind, place) => {
    makeRoot();
    const file = makeFile(`${place}/${kind}`);
    expect(findProgram(folder, kind)).toBe(file);
    expect(parseDriver(`${kind}=${folder}`).missing() ?? '').not.toContain(folder);
  });

  test.each(PEERS)('reports a folder without %s, and where it should be', (kind) => {
    const missing = parseDriver(`${kind}=${folder}`).missing();
    expect(missing).toContain(`${folder} has no ${kind}`);
    expect(missing).toContain('usr/sbin');
  });

  test('reports a folder that does not exist, and mistakes no folder for a program', () => {
    const nowhere = path.join(folder, 'nowhere');
    expect(parseDriver(`pasta=${nowhere}`).missing()).toContain(`${nowhere} does not exist`);
    mkdirSync(path.join(folder, 'haproxy'));
    expect(parseDriver(`haproxy=${folder}`).missing()).toContain('has no haproxy');
  });

  test('rejects a folder if it runs no program', () => {
    expect(parseDriver('direct').missing()).toBeUndefined();
    expect(parseDriver(`direct=${folder}`).missing()).toContain('takes no folder');
  });

  test("reports the version of the root's package, and the root", () => {
    makeRoot({ passt: '1:2026-1', podman: '5.8.6+ds1-3' });
    expect(parseDriver(`pasta=${folder}`).version()).toBe('passt 1:2026-1');
    expect(parseDriver(`rootlessport=${folder}`).version()).toBe('podman 5.8.6+ds1-3');
    expect(parseDriver(`pasta=${folder}`).origin()).toBe(`Debian of the test in ${folder}`);
  });

  test('reports the version that a program in a plain folder prints, and the folder', () => {
    makeFile('haproxy', '#!/bin/sh\necho "HAProxy of the test, asked by $1"\n');
    makeFile('rootlessport', '#!/bin/sh\necho it has no such option\n');
    expect(parseDriver(`haproxy=${folder}`).version()).toBe('HAProxy of the test, asked by -v');
    expect(parseDriver(`rootlessport=${folder}`).version()).toBe('unknown version');
    expect(parseDriver(`haproxy=${folder}`).origin()).toBe(folder);
  });

  test('is named after its folder, but not after a folder such as bin', () => {
    const labels = [
      'pasta=/x/sid',
      'spliceport=/x/old/libexec',
      'haproxy=/x/new/sbin/',
      'socat:mine=/x',
    ];
    expect(labels.map((text) => parseDriver(text).label)).toEqual([
      'pasta:sid',
      'spliceport:old',
      'haproxy:new',
      'socat:mine',
    ]);
  });

  test.each(DRIVER_KINDS)('reports where %s is from', (kind) => {
    expect(parseDriver(kind).origin()).toMatch(/^this (machine|checkout)$/);
  });
});

/** The files that are mapped into a program which prints its own maps. */
function filesIn(maps: string): string[] {
  return [...new Set(maps.split('\n').flatMap((line) => /\/.*$/.exec(line) ?? []))];
}

/** A root with this machine's cat, its loader and its C library; the folder for copies. */
function makeRootWithCat(): string {
  makeRoot();
  const files = filesIn(execFileSync('cat', ['/proc/self/maps'], { encoding: 'utf8' }));
  const libraries = path.join(folder, 'usr/lib/some-linux-gnu');
  mkdirSync(libraries, { recursive: true });
  for (const file of files.filter((name) => /\/(ld-linux[^/]*|libc\.so\.6)$/.test(name))) {
    copyFileSync(file, path.join(libraries, path.basename(file)));
  }
  mkdirSync(path.join(folder, 'usr/bin'), { recursive: true });
  copyFileSync('/bin/cat', path.join(folder, 'usr/bin/cat'));
  const copies = path.join(folder, 'c');
  mkdirSync(copies);
  return copies;
}

function runCat(copies: string): string[] {
  const { file, env } = runnableOf(folder, path.join(folder, 'usr/bin/cat'), copies);
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  return filesIn(execFileSync(file, ['/proc/self/maps'], options));
}

describe('a program of a Debian root', () => {
  test("runs only with the root's loader and libraries", () => {
    const files = runCat(makeRootWithCat());
    const libraries = files.filter((file) => /\/[^/]*\.so[.0-9]*$/.test(file));
    expect(libraries.map((file) => path.dirname(file))).toEqual(
      libraries.map(() => path.join(folder, 'usr/lib/some-linux-gnu')),
    );
    expect(libraries).toHaveLength(2);
  });

  test('is the program that /proc/self/exe names, so that it can start itself again', () => {
    const copies = makeRootWithCat();
    const { file, env } = runnableOf(folder, path.join(folder, 'usr/bin/cat'), copies);
    const again = execFileSync(file, ['/proc/self/exe'], {
      env: { ...process.env, ...env },
      maxBuffer: 1 << 24,
    });
    expect(again.equals(readFileSync(file))).toBe(true);
  });

  test('includes the builds for newer processors, and nothing else', () => {
    const copies = makeRootWithCat();
    copyFileSync('/bin/cat', path.join(folder, 'usr/bin/cat.avx2'));
    copyFileSync('/bin/cat', path.join(folder, 'usr/bin/catalog'));
    const { file, env } = runnableOf(folder, path.join(folder, 'usr/bin/cat'), copies);
    const text = execFileSync('ls', [path.dirname(file)], { encoding: 'utf8' });
    expect(text.trim().split('\n')).toEqual(['cat', 'cat.avx2']);
    const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
    const maps = execFileSync(`${file}.avx2`, ['/proc/self/maps'], options);
    expect(filesIn(maps)).toContain(path.join(folder, 'usr/lib/some-linux-gnu/libc.so.6'));
  });

  test('is not copied if it needs no loader', () => {
    makeRoot();
    const file = makeFile('usr/bin/script', '#!/bin/sh\n');
    expect(runnableOf(folder, file, folder)).toEqual({ file, env: {} });
  });

  test('is rejected if the root lacks its loader', () => {
    const copies = makeRootWithCat();
    rmSync(path.join(folder, 'usr/lib/some-linux-gnu'), { recursive: true });
    expect(() => runCat(copies)).toThrow(/has no ld-.* in usr\/lib/);
  });

  test('is rejected if the path to the loader does not fit', () => {
    makeRootWithCat();
    const deep = path.join(folder, 'a-folder-with-a-long-name');
    mkdirSync(deep);
    expect(() => runCat(deep)).toThrow(/is too long for/);
  });

  test('is recognized by the packages of its root', () => {
    expect(isRoot(folder)).toBe(false);
    makeRoot();
    expect(isRoot(folder)).toBe(true);
  });
});

describe('the scenarios of the benchmark', () => {
  const names = (...wanted: string[]): string[] =>
    chooseScenarios(wanted).map((scenario) => scenario.name);

  test('have few connections of 1 B, each beside busy programs too', () => {
    const counts = [1, 2, 4, 8, 16, 64];
    const wanted = counts.flatMap((count) => [`rr-${count}-1`, `rr-${count}-1-busy`]);
    expect(new Set(names(...wanted))).toEqual(new Set(wanted));
  });

  test('have one stream of iperf3 each way in the default run, and nothing busy', () => {
    const byDefault = names();
    expect(byDefault.filter((name) => name.startsWith('iperf3'))).toEqual([
      'iperf3-up-1',
      'iperf3-down-1',
    ]);
    expect(byDefault.filter((name) => name.endsWith('-busy'))).toEqual([]);
  });

  test('can be the default ones and others', () => {
    expect(names('default')).toEqual(names());
    expect(names('default', 'rr-2-1')).toHaveLength(names().length + 1);
  });
});

describe('the page of the benchmark', () => {
  test('says which version of a program was measured, and where it is from', async () => {
    const results: Results = {
      machine: {
        processor: 'a processor',
        processors: 2,
        memoryGib: 4,
        kernel: '6',
        system: 'Linux',
        node: 'v20',
        compiler: 'c++',
        date: '2026-01-01',
        privileged: true,
      },
      versions: { 'pasta:sid': 'passt 2026', direct: 'Linux 6' },
      origins: { 'pasta:sid': 'Debian of the test in /roots/sid' },
      timing: { seconds: 1, warmup: 1, rounds: 1 },
      scenarios: [],
    };
    await writeReport(folder, results);
    const page = readFileSync(path.join(folder, 'benchmarks.md'), 'utf8');
    expect(page).toContain('| program | version | from |');
    expect(page).toContain('| pasta:sid | passt 2026 | Debian of the test in /roots/sid |');
    expect(page).toContain('| direct | Linux 6 |  |');
  });
});

describe('the reference program of the benchmark', () => {
  const rows = (...drivers: string[]): ReturnType<typeof compare> =>
    compare(
      {
        scenario: {
          name: 'x',
          title: 'x',
          group: 'tcp',
          protocol: 'tcp',
          unit: '/s',
          headline: 'rate',
          byDefault: true,
        },
        rows: drivers.map((driver, i) => ({
          driver,
          kind: driver.split(':')[0] ?? driver,
          rounds: [{ rate: i + 1 }],
        })),
      },
      'rootlessport',
    );

  test('may be one of a Debian root', () => {
    expect(rows('spliceport', 'rootlessport:sid').map((row) => row.toReference)).toEqual([0.5, 1]);
  });

  test("is this machine's if both are measured", () => {
    const [first] = rows('spliceport', 'rootlessport:sid', 'rootlessport');
    expect(first?.toReference).toBeCloseTo(1 / 3);
  });
});
