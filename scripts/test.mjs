// test.mjs: `npm test`. Runs vitest and the native tests. The last lines list what failed and, in
// CI, where failed tests are retried, what passed only then; and the counts: N passed, N failed, N
// skipped. With arguments, it runs only vitest, with these arguments: npm test -- --project unit.
//
// The tests create network namespaces and forward into them and out of their own, which takes
// CAP_SYS_ADMIN in the user namespaces that own these. Root has it; everybody else becomes root of
// a new user and network namespace first.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingTools, runNativeTests } from './native.mjs';
import { lastLines, noOutcome, sumOf } from './outcomes.mjs';

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
  const file = join(folder, 'outcome.json');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=./scripts/vitest-outcome.mjs'];
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...reporters, ...vitestArgs], {
    stdio: 'inherit',
    env: { ...process.env, SPLICEPORT_TEST_OUTCOME: file },
  });
  const failures = [{ name: `vitest ended with status ${status}`, details: [] }];
  try {
    const outcome = JSON.parse(readFileSync(file, 'utf8'));
    return status === 0 || outcome.failed > 0 ? outcome : { ...outcome, failed: 1, failures };
  } catch {
    return { ...noOutcome(), failed: 1, failures };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function nativeOutcome() {
  if (vitestArgs.length > 0) return noOutcome();
  const install = missingTools();
  if (!install) return runNativeTests(undefined, { tryAgain: inCi });
  console.log(`native tests skipped; to run them: ${install}`);
  const failures = [{ name: 'native tests', details: [`they need ${install}`] }];
  return { ...noOutcome(), skipped: 1, ...(inCi && { failed: 1, failures }) };
}

if (process.getuid() !== 0) becomeNamespaceRoot();

await import('./build.mjs');
if (networkInterfaces().lo === undefined) {
  const { setInterfaceUp } = await import('../lib/system.js');
  setInterfaceUp('lo');
}
const outcome = sumOf([await nativeOutcome(), runVitest()]);
console.log(lastLines(outcome).join('\n'));
process.exitCode = outcome.failed > 0 || (inCi && outcome.skipped > 0) ? 1 : 0;
