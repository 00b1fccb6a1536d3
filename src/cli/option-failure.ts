// option-failure.ts: turns the library's errors about fields into errors about the options they
// came from.

import { usageFailure } from './failure.js';

const optionOf: Readonly<Record<string, string>> = {
  allow: '--allow',
  deny: '--deny',
  maxSessions: '--max-sessions',
  maxSessionsPerSecond: '--max-rate',
  maxSessionsPerClient: '--max-per-client',
  trustedProxies: '--trusted-proxy',
};

const refusal = /^Expected (.+?),? for specs\[\d+\]\.(\w+).* but received (.+) of type \w+$/s;

/** The error; if it is about an option's value, one that names the option. */
export function ofOption(error: unknown): unknown {
  const [, expected = '', field = '', value = ''] = refusal.exec((error as Error).message) ?? [];
  const option = optionOf[field];
  return option === undefined ? error : usageFailure(`${option}: ${value} is not ${expected}`);
}
