// Runs scripts/release.mjs in a repository of its own, whose npm scripts only note that they were
// run.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const today = /\d{4}-\d\d-\d\d/;

const changelog = `# Changelog

## [Unreleased]

### Added

- a setting

## [1.0.0] - 2026-01-01

- the first

[Unreleased]: https://host/compare/v1.0.0...HEAD
[1.0.0]: https://host/releases/v1.0.0
`;

/** Each notes its name; docs makes a change as well, and what is in `failing` fails. */
const scripts = Object.fromEntries(
  ['docs', 'check', 'prebuild', 'test:prebuilt', 'sbom'].map((name) => [
    name,
    `echo ${name} >> ../ran && echo ${name} >> docs/page && ! grep -qx ${name} ../failing`,
  ]),
);

let folder: string;
let repository: string;

const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: repository, encoding: 'utf8' }).trim();
const read = (file: string): string => readFileSync(join(repository, file), 'utf8');
const write = (file: string, text: string): void => writeFileSync(join(repository, file), text);
const ran = (): string[] => readFileSync(join(folder, 'ran'), 'utf8').split('\n').filter(Boolean);

function commit(file: string, text: string): void {
  write(file, text);
  git('add', '--all');
  git('commit', '--quiet', '-m', `change ${file}`);
}

function release(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const script = join(repository, 'scripts/release.mjs');
  return spawnSync(process.execPath, [script, ...args], { cwd: folder, encoding: 'utf8' });
}

/** What a release may change: files, branch and tags. */
const state = (): string[] => [
  git('rev-parse', 'HEAD'),
  git('status', '--porcelain'),
  git('tag', '--list'),
];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-release-'));
  repository = join(folder, 'repository');
  mkdirSync(join(repository, 'scripts'), { recursive: true });
  mkdirSync(join(repository, 'docs'));
  for (const file of ['ran', 'failing']) writeFileSync(join(folder, file), '');
  cpSync(join(root, 'scripts/release.mjs'), join(repository, 'scripts/release.mjs'));
  const facts = { name: 'released', version: '1.0.0' };
  write('package.json', JSON.stringify({ ...facts, type: 'module', scripts }, null, 2));
  const packages = { '': facts };
  write('package-lock.json', JSON.stringify({ ...facts, lockfileVersion: 3, packages }, null, 2));
  write('CHANGELOG.md', changelog);
  write('docs/page', '');
  git('init', '--quiet', '--initial-branch', 'main');
  git('config', 'user.name', 'Ann');
  git('config', 'user.email', 'ann@host.invalid');
  commit('README.md', 'released');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a release', () => {
  test('sets the version, dates the changelog, makes documents and prebuilds, commits and tags', () => {
    const before = git('rev-parse', 'HEAD');
    const { status, stdout, stderr } = release('1.1.0');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(ran()).toEqual(['docs', 'check', 'prebuild', 'test:prebuilt', 'sbom']);
    expect(JSON.parse(read('package.json'))).toMatchObject({ version: '1.1.0' });
    expect(JSON.parse(read('package-lock.json'))).toMatchObject({
      version: '1.1.0',
      packages: { '': { version: '1.1.0' } },
    });
    expect(read('CHANGELOG.md').replace(today, 'DATE')).toBe(
      changelog
        .replace('## [Unreleased]\n', '## [Unreleased]\n\n## [1.1.0] - DATE\n')
        .replace('/v1.0.0...HEAD', '/v1.1.0...HEAD\n[1.1.0]: https://host/compare/v1.0.0...v1.1.0'),
    );
    expect(git('status', '--porcelain')).toBe('');
    expect(git('rev-list', '--count', `${before}..HEAD`)).toBe('1');
    expect(git('rev-parse', 'v1.1.0^{commit}')).toBe(git('rev-parse', 'HEAD'));
    expect(stdout).toContain('git push origin main v1.1.0');
    expect(stdout).toContain('npm publish --provenance');
  });

  test('leaves out what the command line says', () => {
    expect(release('1.1.0', '--no-check', '--no-prebuilds').status).toBe(0);
    expect(ran()).toEqual(['docs', 'sbom']);
  });

  test('may have the version that package.json has, if that was never released', () => {
    expect(release('1.0.0', '--no-check').status).toBe(0);
    expect(git('tag', '--list')).toBe('v1.0.0');
  });

  test('changes nothing with --dry-run, and prints every step', () => {
    const before = state();
    const { status, stdout } = release('1.1.0', '--dry-run');
    expect(status).toBe(0);
    expect(ran()).toEqual([]);
    expect(state()).toEqual(before);
    const steps = ['npm version 1.1.0', 'CHANGELOG.md', 'npm run docs', 'npm run check'];
    for (const step of [
      ...steps,
      'npm run prebuild',
      'npm run sbom',
      'git commit',
      'git tag v1.1.0',
    ]) {
      expect(stdout).toContain(step);
    }
  });
});

describe('a release that cannot be made leaves everything as it was', () => {
  const fails = (message: RegExp, ...args: string[]): void => {
    const before = state();
    const { status, stderr } = release(...args);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(message) as unknown,
    });
    expect(state()).toEqual(before);
  };

  test.each(['docs', 'check', 'prebuild', 'test:prebuilt', 'sbom'])('when %s fails', (name) => {
    writeFileSync(join(folder, 'failing'), `${name}\n`);
    fails(/release: npm run .* failed/, '1.1.0');
    expect(ran().at(-1)).toBe(name);
  });

  test('when the commit is rejected', () => {
    write('.git/hooks/pre-commit', '#!/bin/sh\nexit 1\n');
    execFileSync('chmod', ['+x', join(repository, '.git/hooks/pre-commit')]);
    fails(/release: git commit .* failed/, '1.1.0', '--no-check');
  });

  test('when the tag is rejected, which is after the commit', () => {
    git('config', 'tag.gpgSign', 'true');
    git('config', 'gpg.program', 'false');
    fails(/release: git tag .* failed/, '1.1.0', '--no-check');
  });

  test('when there are uncommitted changes', () => {
    write('README.md', 'changed');
    fails(/uncommitted changes:\n.*README\.md/, '1.1.0');
  });

  test('on another branch', () => {
    git('checkout', '--quiet', '-b', 'other');
    fails(/made on main, not on other/, '1.1.0');
  });

  test('when the tag exists', () => {
    git('tag', 'v1.1.0');
    fails(/the tag v1\.1\.0 exists/, '1.1.0');
  });

  test('when the version is lower than the last one', () => fails(/lower than 1\.0\.0/, '0.9.9'));

  test.each(['1.1', 'v1.1.0', '1.01.0', 'next'])('when %s is no version', (version) =>
    fails(/not a version/, version),
  );

  test('without a version, and with an unknown option', () => {
    fails(/Usage: npm run release/);
    fails(/Usage: npm run release/, '1.1.0', '--force');
  });

  test('when the changelog has no heading for it, or nothing under it', () => {
    commit('CHANGELOG.md', changelog.replace('## [Unreleased]', '## Later'));
    fails(/no heading/, '1.1.0');
    commit('CHANGELOG.md', changelog.replace('- a setting', ''));
    fails(/nothing under "Unreleased"/, '1.1.0');
  });
});

test('the project has the scripts and the heading that a release needs', () => {
  const { scripts: own } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  expect(Object.keys(own)).toEqual(expect.arrayContaining(['docs', 'check', 'prebuild']));
  expect(readFileSync(`${root}CHANGELOG.md`, 'utf8')).toMatch(/^## \[Unreleased\]$/m);
});
