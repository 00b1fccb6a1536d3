// check.mjs: `npm run check`. Runs compilers, linters and formatters in parallel, and prints the
// output of those that fail. `npm run check -- --fix` lets the formatters and eslint write.

import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { cmakeJs, nodeHeaders } from './native.mjs';

const fix = process.argv.includes('--fix');
const inCi = Boolean(process.env.CI) && process.env.CI !== 'false';
const cacheFolder = 'node_modules/.cache/spliceport/tidy';
const maxLines = 400;
const maxCommentWidth = 100;

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '*.cc', '*.h'], {
  encoding: 'utf8',
});
const cppFiles = listed.stdout.split('\n').filter((file) => file !== '' && existsSync(file));

/** Runs a program; resolves to its output if it fails. */
const run = (program, args) =>
  new Promise((resolve) => {
    execFile(program, args, { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve(error ? `${stdout}${stderr}` || String(error) : undefined);
    });
  });

const nodeTool = (path, ...args) => run(process.execPath, [`node_modules/${path}`, ...args]);

/** Runs jobs, at most one per processor at a time; keeps their results in order. */
async function pooled(jobs) {
  const results = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < jobs.length; index = next++) {
      results[index] = await jobs[index]();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

async function clangTool(name, check) {
  if (spawnSync(name, ['--version']).status === 0) return check();
  const message = `not installed; apt-get install ${name}`;
  return inCi ? message : { skipped: message };
}

const clangFormat = () =>
  run('clang-format', fix ? ['-i', ...cppFiles] : ['--dry-run', '-Werror', ...cppFiles]);

/** A file that passed is not checked again until it, a header or a setting changes. */
async function clangTidy() {
  const failure = cmakeJs('configure', 'tidy', { NODE_HEADERS: nodeHeaders() });
  if (failure) return failure;
  mkdirSync(cacheFolder, { recursive: true });
  const settings = [
    '.clang-tidy',
    'build-tidy/compile_commands.json',
    ...cppFiles.filter((file) => file.endsWith('.h')),
  ];
  const common = settings.map((file) => readFileSync(file, 'utf8')).join('\0');
  const jobs = cppFiles
    .filter((file) => /^native\/.*\.cc$/.test(file))
    .map((file) => async () => {
      const stamp = createHash('sha256').update(common).update(readFileSync(file)).digest('hex');
      const passed = `${cacheFolder}/${stamp}`;
      if (existsSync(passed)) return undefined;
      const output = await run('clang-tidy', ['--quiet', '-p', 'build-tidy', file]);
      if (output === undefined) writeFileSync(passed, '');
      return output;
    });
  return (await pooled(jobs)).filter(Boolean).join('\n') || undefined;
}

async function fileLengths() {
  const tooLong = cppFiles
    .map((file) => ({ file, lines: readFileSync(file, 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > maxLines);
  return (
    tooLong.map(({ file, lines }) => `${file}: ${lines} lines, at most ${maxLines}`).join('\n') ||
    undefined
  );
}

/** Formatters leave comments alone. */
async function commentWidths() {
  const sources = ['*.cc', '*.h', '*.ts', '*.tsx', '*.js', '*.mjs', '*.sh', '.ci/run'];
  const { stdout } = spawnSync('git', ['ls-files', '-co', '--exclude-standard', ...sources], {
    encoding: 'utf8',
  });
  const files = stdout.split('\n').filter((file) => file !== '' && existsSync(file));
  const tooWide = files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        line.length > maxCommentWidth && /^\s*(\/\/|\/?\*|# )/.test(line)
          ? [`${file}:${index + 1}: a comment of more than ${maxCommentWidth} columns`]
          : [],
      ),
  );
  return tooWide.join('\n') || undefined;
}

const checks = {
  tsc: () => nodeTool('typescript/bin/tsc', '--noEmit'),
  'tsc of the page': () => nodeTool('typescript/bin/tsc', '-p', 'src/page/browser'),
  eslint: () =>
    nodeTool('eslint/bin/eslint.js', '--max-warnings', '0', ...(fix ? ['--fix'] : []), '.'),
  prettier: () =>
    nodeTool('prettier/bin/prettier.cjs', '--log-level', 'warn', fix ? '--write' : '--check', '.'),
  publint: () => nodeTool('publint/src/cli.js', '--strict'),
  'c++ file lengths': fileLengths,
  'widths of comments': commentWidths,
  'clang-format': () => clangTool('clang-format', clangFormat),
  'clang-tidy': () => clangTool('clang-tidy', clangTidy),
};

async function report(name, check) {
  const started = performance.now();
  const result = await check();
  const seconds = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  if (typeof result === 'string') console.log(`${name}: failed, ${seconds}\n${result}`);
  else console.log(`${name}: ${result ? `skipped, ${result.skipped}` : `ok, ${seconds}`}`);
  return typeof result !== 'string';
}

// Formatters that write must not run at the same time.
const jobs = Object.entries(checks).map(
  ([name, check]) =>
    () =>
      report(name, check),
);
const outcomes = fix
  ? await jobs.reduce(async (done, job) => [...(await done), await job()], [])
  : await pooled(jobs);
process.exitCode = outcomes.every(Boolean) ? 0 : 1;
