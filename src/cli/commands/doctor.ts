// doctor.ts: `spliceport doctor`: looks for what goes wrong in practice.

import { gatherFacts } from '../doctor/facts.js';
import { findingsOf, type Severity } from '../doctor/findings.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { paint } from '../../paint.js';
import { print, printJson } from '../output.js';

const colors = { ok: 'green', note: 'cyan', warning: 'yellow', error: 'red' } as const;
const WIDTH = Math.max(...Object.keys(colors).map((severity) => severity.length));

/** Prints what was found, and what mends it; the exit code of an error when there is one. */
export async function doctor({ json = false }: { readonly json?: boolean }): Promise<ExitCode> {
  const findings = findingsOf(await gatherFacts());
  if (json) {
    printJson(findings);
  } else {
    for (const { severity, text, fix } of findings) {
      print(`${paint(process.stdout, colors[severity], severity.padEnd(WIDTH))}  ${text}`);
      if (fix !== undefined) print(`${' '.repeat(WIDTH)}  → ${fix}`);
    }
    print('');
    print(summaryOf(findings.map(({ severity }) => severity)));
  }
  const hasErrors = findings.some(({ severity }) => severity === 'error');
  return hasErrors ? exitCodes.failed : exitCodes.done;
}

function summaryOf(severities: readonly Severity[]): string {
  const counted = (['error', 'warning'] as const).map((severity) => {
    const count = severities.filter((each) => each === severity).length;
    return `${count} ${severity}${count === 1 ? '' : 's'}`;
  });
  return `${counted.join(', ')}.`;
}
