// vitest-outcome.mjs: a reporter of vitest that writes what the run has come to into the file that
// SPLICEPORT_TEST_OUTCOME names.

import { writeFileSync } from 'node:fs';
import { vitestOutcome } from './outcomes.mjs';

export default class {
  onTestRunEnd(modules, unhandledErrors) {
    const outcome = vitestOutcome(modules, unhandledErrors);
    writeFileSync(process.env.SPLICEPORT_TEST_OUTCOME, JSON.stringify(outcome));
  }
}
