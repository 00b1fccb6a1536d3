// log-fields.ts: what each setting of a log is. Data alone, as in spec/fields.ts.

import type { AnyFields } from '../spec/fields.js';

export const logFields = {
  level: {
    type: 'choice',
    values: ['silent', 'error', 'warn', 'info', 'debug'],
    default: 'info',
    text: 'How much is logged.',
  },
  destination: {
    type: 'text',
    pattern: /^(stderr|journal|\/.*)$/,
    expected: '"stderr", "journal" or the absolute path of a file',
    default: 'stderr',
    text: 'Where the helper logs to: `stderr`, which ends when the container has started; `journal`; or the absolute path of a file.',
  },
  format: {
    type: 'choice',
    values: ['json', 'text'],
    defaultText: 'json, but text on a terminal',
    text: 'Lines of JSON, or text.',
  },
  summaryIntervalMs: {
    type: 'integer',
    min: 100,
    max: 86_400_000,
    default: 60_000,
    unit: 'ms',
    text: 'Time between summaries of connect failures, rejected clients and the like.',
  },
  sessions: {
    type: 'flag',
    default: false,
    text: 'Whether there is a line for each TCP session and UDP flow that has ended.',
    see: 'settings.md#lines-for-sessions',
  },
  journalSocket: {
    type: 'text',
    pattern: /^\/.+$/,
    expected: 'the absolute path of a socket',
    default: '/run/systemd/journal/socket',
    text: "The journal's socket.",
  },
} as const satisfies AnyFields;
