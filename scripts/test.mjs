// test.mjs: `npm test`. Runs vitest and the native tests, and ends with one line: N passed, N failed, N skipped.
// With arguments it runs vitest alone, with these arguments: npm test -- --project unit.
//
// The tests make network namespaces and forward into them and out of their own, which takes CAP_SYS_ADMIN in the user
// namespaces that own these. Root has it; everybody else becomes root of a user and a network namespace first.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingTools, runNativeTests } from './native.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const self = fileURLToPath(import.meta.url);
const vitestArgs = process.argv.slice(2);
const inCi = Boolean(process.env.CI) && process.env.CI !== 'false';

process.chdir(root);

function becomeNamespaceRoot() {
  const asRoot = ['--user', '--map-root-user', '--net'];
  const probe = spawnSync('unshare', [...asRoot, 'true'], { encoding: 'utf8' });
  if (probe.status !== 0) {
    console.log(
      `no user namespace, so what needs one fails: ${probe.stderr?.trim() ?? probe.error}`,
    );
    return;
  }
  const { status } = spawnSync('unshare', [...asRoot, process.execPath, self, ...vitestArgs], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

function runVitest() {
  const folder = mkdtempSync(join(tmpdir(), 'spliceport-test-'));
  const report = join(folder, 'report.json');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...reporters, ...vitestArgs], {
    stdio: 'inherit',
  });
  try {
    return countsOf(JSON.parse(readFileSync(report, 'utf8')), status);
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function countsOf(report, status) {
  // A file that cannot be loaded has failed without a test of its own.
  const broken = report.testResults.filter(
    (file) =>
      file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = report.numFailedTests + broken;
  return {
    passed: report.numPassedTests,
    // Errors outside of tests show in the exit code alone.
    failed: status !== 0 ? Math.max(failed, 1) : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function nativeCounts() {
  if (vitestArgs.length > 0) return { passed: 0, failed: 0, skipped: 0 };
  const install = missingTools();
  if (!install) return runNativeTests();
  console.log(`native tests skipped; to run them: ${install}`);
  return { passed: 0, failed: inCi ? 1 : 0, skipped: 1 };
}

if (process.getuid() !== 0) becomeNamespaceRoot();

await import('./build.mjs');
if (networkInterfaces().lo === undefined) {
  const { setInterfaceUp } = await import('../lib/system.js');
  setInterfaceUp('lo');
}
const native = nativeCounts();
const vitest = runVitest();
const sum = (key) => vitest[key] + native[key];
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
process.exitCode = sum('failed') > 0 || (inCi && sum('skipped') > 0) ? 1 : 0;
