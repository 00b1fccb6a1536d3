// option-failure.ts: what the library says of a field, said of the option that it came from.

import { usageFailure } from './failure.js';

const optionOf: Readonly<Record<string, string>> = {
  allow: '--allow',
  deny: '--deny',
  maxSessions: '--max-sessions',
  maxSessionsPerSecond: '--max-rate',
  trustedProxies: '--trusted-proxy',
};

const refusal = /^Expected (.+?),? for specs\[\d+\]\.(\w+).* but received (.+) of type \w+$/s;

/** The error, or in its place one in the words of the command line, where it is of an option. */
export function ofOption(error: unknown): unknown {
  const [, expected = '', field = '', value = ''] = refusal.exec((error as Error).message) ?? [];
  const option = optionOf[field];
  return option === undefined ? error : usageFailure(`${option}: ${value} is not ${expected}`);
}
