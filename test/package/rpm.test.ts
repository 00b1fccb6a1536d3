// The RPM package: made here, and installed into a folder by Debian's rpm, used, and removed.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let rpm: string;
const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { cwd: root, encoding: 'utf8' });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-rpm-test-'));
  run('npm', 'run', '--silent', 'rpm', '--', folder);
  rpm = join(folder, readdirSync(folder)[0] ?? '');
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

test('the package says what it is, and needs node alone of what npm knows', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly version: string;
  };
  expect(run('rpm', '-qp', '--qf', '%{NAME} %{VERSION} %{LICENSE}', rpm)).toBe(
    `spliceport ${version} Apache-2.0`,
  );
  const needed = run('rpm', '-qp', '--requires', rpm);
  expect(needed).toContain('nodejs >= 20.17');
  expect(needed).not.toMatch(/^npm\(|\/node$/m);
});

test('the package is installed, runs, and is removed without a trace', () => {
  const target = join(folder, 'root');
  const own = ['--root', target, '--nodeps', '--noscripts'];
  mkdirSync(target);
  run('rpm', '--root', target, '--initdb');
  run('rpm', ...own, '-i', rpm);
  const version = run(process.execPath, join(target, 'usr/bin/spliceport'), '--version');
  expect(version).toContain(run('rpm', '-qp', '--qf', '%{VERSION}', rpm));
  const helper = join(target, 'usr/libexec/spliceport');
  expect(readdirSync(join(target, 'usr/lib/spliceport/libexec'))).toContain('rootlessport');
  expect(run('ls', '-l', helper)).toContain('-> ../lib/spliceport/libexec');
  run('rpm', ...own, '-e', 'spliceport');
  expect(run('find', join(target, 'usr'), '-name', '*spliceport*')).toBe('');
});
