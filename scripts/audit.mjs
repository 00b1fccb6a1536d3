// audit.mjs: `npm run audit`. Asks the registry for advisories on the packages of the lock file,
// and for its signatures of those that are installed. Fails for an advisory on what users install,
// and for a signature that is wrong. A registry that has neither, as many mirrors, is named, and
// fails nothing: what is installed is then held by the hashes of the lock file alone.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

/** What `npm audit` answers with, or the reason why it has no answer. */
function npmAudit(...args) {
  const { stdout, error } = spawnSync('npm', ['audit', ...args, '--json'], { encoding: 'utf8' });
  if (error) throw error;
  let answer;
  try {
    answer = JSON.parse(stdout);
  } catch {
    return { missing: stdout.trim() || 'npm audit printed nothing' };
  }
  return answer.error ? { missing: answer.message ?? answer.error.summary } : { answer };
}

/** One line for each package that has an advisory. */
function advisoriesOf({ vulnerabilities }) {
  return Object.values(vulnerabilities).map(({ name, severity, range, via }) => {
    const titles = via.map((each) => (typeof each === 'string' ? `by ${each}` : each.title));
    return `${name} ${range}: ${severity}: ${titles.join('; ')}`;
  });
}

function signatureFaultsOf({ invalid, missing }) {
  const line = (what) => (each) => `${each.name}@${each.version}: ${what}`;
  return [...invalid.map(line('wrong signature')), ...missing.map(line('no signature'))];
}

/** Prints what was found; whether it is nothing. */
function report(what, { answer, missing }, faultsOf) {
  if (missing !== undefined) {
    console.log(`${what}: not checked, the registry has none (${missing})`);
    return true;
  }
  const faults = faultsOf(answer);
  console.log(`${what}: ${faults.length === 0 ? 'nothing to report' : faults.length}`);
  for (const fault of faults) console.log(`  ${fault}`);
  return faults.length === 0;
}

const used = report('advisories on dependencies', npmAudit('--omit=dev'), advisoriesOf);
// What developers run is told, and does not hold up a change: an update may not be there yet.
report('advisories on development tools', npmAudit(), advisoriesOf);
const signed = report('signatures', npmAudit('signatures'), signatureFaultsOf);
process.exitCode = used && signed ? 0 : 1;
