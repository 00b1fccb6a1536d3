// release.mjs: `npm run release -- VERSION`. Prepares a release on main: version, changelog,
// documents, checks, prebuilds, commit and tag. It pushes and publishes nothing, and prints the
// commands that do. If a step fails, the tracked files are as they were.
//
// `--dry-run` prints the steps and changes nothing; `--no-check` and `--no-prebuilds` leave these
// steps out.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const usage = 'Usage: npm run release -- VERSION [--dry-run] [--no-check] [--no-prebuilds]';
/** All that a release changes of what git tracks; nothing else is committed, or put back. */
const releasedFiles = ['package.json', 'package-lock.json', 'CHANGELOG.md', 'docs'];

class ReleaseError extends Error {}

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();

/** Runs a command with its output on this terminal. */
function run(program, ...args) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  if (status !== 0) {
    throw new ReleaseError(`${[program, ...args].join(' ')} failed${error ? `: ${error}` : ''}`);
  }
}

function parseCommandLine() {
  const options = {
    'dry-run': { type: 'boolean' },
    'no-check': { type: 'boolean' },
    'no-prebuilds': { type: 'boolean' },
  };
  let parsed;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new ReleaseError(`${error.message}\n${usage}`);
  }
  const { values, positionals } = parsed;
  if (positionals.length !== 1) throw new ReleaseError(usage);
  return {
    version: positionals[0],
    isDry: values['dry-run'] === true,
    checks: values['no-check'] !== true,
    prebuilds: values['no-prebuilds'] !== true,
  };
}

/** The three numbers of X.Y.Z; undefined for anything else. */
function numbersOf(version) {
  const match = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/.exec(version);
  return match?.slice(1).map(Number);
}

/**
 * The version in package.json may be released if it has no tag yet: so it is for the first release.
 */
function checkVersion(version) {
  const next = numbersOf(version);
  if (!next) throw new ReleaseError(`${version}: not a version, such as 1.2.3`);
  if (git('tag', '--list', `v${version}`) !== '') {
    throw new ReleaseError(`${version}: the tag v${version} exists`);
  }
  const current = JSON.parse(readFileSync('package.json', 'utf8')).version;
  const [major, minor, patch] = next.map((number, index) => number - numbersOf(current)[index]);
  if ((major || minor || patch) < 0) {
    throw new ReleaseError(`${version}: lower than ${current}, the version in package.json`);
  }
}

function checkTree() {
  const branch = git('branch', '--show-current');
  if (branch !== 'main') {
    throw new ReleaseError(`releases are made on main, not on ${branch || 'a detached HEAD'}`);
  }
  const changes = git('status', '--porcelain');
  if (changes !== '') throw new ReleaseError(`the tree has uncommitted changes:\n${changes}`);
}

/**
 * The changelog with what is unreleased under the version and date. A link that compares the last
 * version with HEAD, such as `[Unreleased]: https://host/compare/v1.0.0...HEAD`, gets a companion
 * for the new version.
 */
function releasedChangelog(changelog, version, date) {
  const heading = /^## \[?Unreleased\]?[^\S\n]*$/im.exec(changelog);
  if (!heading) throw new ReleaseError('CHANGELOG.md: no heading "## [Unreleased]"');
  const [body = ''] = changelog
    .slice(heading.index + heading[0].length)
    .split(/^## |^\[[^\]]+\]: /m);
  if (!/^[^\s#]/m.test(body)) throw new ReleaseError('CHANGELOG.md: nothing under "Unreleased"');
  return changelog
    .replace(heading[0], `## [Unreleased]\n\n## [${version}] - ${date}`)
    .replace(
      /^\[Unreleased\]: (.*\/compare\/)(.*)\.\.\.HEAD$/im,
      (_, base, last) =>
        `[Unreleased]: ${base}v${version}...HEAD\n[${version}]: ${base}${last}...v${version}`,
    );
}

/** What there is to do: what each step is called, and what it does. */
function stepsOf({ version, checks, prebuilds }, changelog) {
  const npm = (...args) => ({ title: ['npm', ...args].join(' '), run: () => run('npm', ...args) });
  const setVersion = ['version', version, '--no-git-tag-version', '--allow-same-version'];
  return [
    npm(...setVersion, '--ignore-scripts'),
    {
      title: `move what is unreleased in CHANGELOG.md under ${version}`,
      run: () => writeFileSync('CHANGELOG.md', changelog),
    },
    npm('run', 'docs'),
    ...(checks ? [npm('run', 'check')] : []),
    ...(prebuilds ? [npm('run', 'prebuild'), npm('run', 'test:prebuilt', '--if-present')] : []),
    npm('run', 'sbom'),
    {
      title: `git commit -m 'Release ${version}'`,
      run: () =>
        run('git', 'commit', '--quiet', '-m', `Release ${version}`, '--', ...releasedFiles),
    },
    {
      title: `git tag v${version}`,
      run: () => run('git', 'tag', '-a', `v${version}`, '-m', `spliceport ${version}`),
    },
  ];
}

/** Does every step, or leaves what git tracks as it was. */
function carryOut(steps) {
  const start = git('rev-parse', 'HEAD');
  // Ctrl-C ends the step, and this process takes back what has been done.
  process.on('SIGINT', () => undefined);
  try {
    for (const { title, run: work } of steps) {
      console.log(`\n== ${title}`);
      work();
    }
  } catch (error) {
    git('reset', '--quiet', '--soft', start);
    git('restore', '--staged', '--worktree', '--', ...releasedFiles);
    throw error;
  }
}

function main() {
  const options = parseCommandLine();
  checkVersion(options.version);
  checkTree();
  const date = new Date().toISOString().slice(0, 10);
  const changelog = releasedChangelog(readFileSync('CHANGELOG.md', 'utf8'), options.version, date);
  const steps = stepsOf(options, changelog);
  if (options.isDry) {
    console.log('These steps would be taken; nothing has been changed.');
    for (const { title } of steps) console.log(`  ${title}`);
  } else {
    carryOut(steps);
  }
  console.log(
    [
      `\nTo publish ${options.version}, when it is as it should be:`,
      `  git push origin main v${options.version}`,
      '  npm publish --provenance',
    ].join('\n'),
  );
}

try {
  main();
} catch (error) {
  if (!(error instanceof ReleaseError)) throw error;
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
}
