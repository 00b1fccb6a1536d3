// schema.ts: what may stand in a settings file, as far as a JSON Schema can say it; consistency.ts has the rest. The
// published schema is made of this by scripts/settings-schema.mjs, and the helper's check by scripts/build.mjs.

import * as z from 'zod/mini';
import { blockExpected, MAX_PORT, portExpected as error } from './keys.js';
import type { LogSettings } from '../log/types.js';
import type { ForwarderSettings, ForwardSettings, Match, Rule, SettingsFile } from './types.js';

const MAX_TIME_MS = 86_400_000;
const MAX_KEEPALIVE_MS = 32_767_000;

type Shape<T> = Record<keyof T, z.ZodMiniType>;

/** What JSON leaves out is absent, never undefined. */
const may = z.exactOptional;

function integer(lowest: number, highest: number, description: string) {
  const error = `expected an integer from ${inDigits(lowest)} to ${inDigits(highest)}`;
  return may(
    z
      .int({ error })
      .check(z.minimum(lowest, { error }), z.maximum(highest, { error }), z.describe(description)),
  );
}

function flag(description: string) {
  return may(z.boolean({ error: 'expected true or false' }).check(z.describe(description)));
}

function choice<const T extends string>(values: readonly T[], description: string) {
  const error = `expected ${values.map((value) => JSON.stringify(value)).join(' or ')}`;
  return may(z.enum(values, { error }).check(z.describe(description)));
}

function text(pattern: RegExp, expected: string, description: string) {
  const error = `expected ${expected}`;
  return may(z.string({ error }).check(z.regex(pattern, { error }), z.describe(description)));
}

function blocks(description: string, fewest: number, most: number) {
  // Which texts are blocks is the library's to say; consistency.ts asks it.
  const block = z.string({ error: blockExpected });
  const count = `expected an array of ${fewest} to ${inDigits(most)} addresses or blocks`;
  return may(
    z
      .array(block, { error: count })
      .check(
        z.minLength(fewest, { error: count }),
        z.maxLength(most, { error: count }),
        z.describe(description),
      ),
  );
}

function object<T extends z.core.$ZodShape>(shape: T, description: string) {
  const keys = Object.keys(shape).join(', ');
  return z
    .strictObject(shape, {
      error: ({ code }) =>
        code === 'unrecognized_keys' ? `expected one of ${keys}` : 'expected an object',
    })
    .check(z.describe(description));
}

const log = object(
  {
    level: choice(
      ['silent', 'error', 'warn', 'info', 'debug'],
      'How much is logged. Default: info.',
    ),
    destination: text(
      /^(stderr|journal|\/.*)$/,
      '"stderr", "journal" or the absolute path of a file',
      'Where the helper logs to: stderr, which ends when the container has started; journal; or the absolute path of a file. Default: stderr.',
    ),
    format: choice(
      ['json', 'text'],
      'Lines of JSON, or text. Default: json, but text on a terminal.',
    ),
    summaryIntervalMs: integer(
      100,
      MAX_TIME_MS,
      'How often connect failures and the like are summed up in a line. Unit: ms. Default: 60,000.',
    ),
    sessions: flag(
      'Whether there is a line for each TCP session and UDP flow that has ended. Default: false.',
    ),
    journalSocket: text(
      /^\/.+$/,
      'the absolute path of a socket',
      "The journal's socket. Default: /run/systemd/journal/socket.",
    ),
  } satisfies Shape<LogSettings>,
  'What is logged, and where to.',
);

const forwarderShape = {
  workers: integer(1, 64, 'Threads that relay. Default: 2, or 1 where there is one processor.'),
  spinMicros: integer(
    0,
    1_000,
    'How long a worker polls before it sleeps. Unit: microseconds. Default: 0.',
  ),
  nearRttMicros: integer(
    0,
    1_000_000,
    'Round trip up to which a client counts as near. Unit: microseconds. Default: 500.',
  ),
  pipeCapacityBytes: integer(
    4_096,
    16_777_216,
    'Capacity of each pipe for bulk data. Unit: bytes. Default: 1,048,576.',
  ),
  controlSocket: flag('Whether there is a control socket. Default: true.'),
  reloadSocket: choice(
    ['seqpacket', 'stream'],
    'Type of the socket that Podman reloads through. Default: the one of the version of Podman that calls.',
  ),
  log: may(log),
} satisfies Shape<ForwarderSettings>;

const forwardShape = {
  connectTimeoutMs: integer(
    1,
    MAX_TIME_MS,
    'How long a connection to the container may take. Unit: ms. Default: 10,000.',
  ),
  keepaliveIdleMs: integer(
    0,
    MAX_KEEPALIVE_MS,
    'After what silence the other end of a TCP session is asked whether it is still there; 0: it is not asked. Unit: ms, rounded up to whole seconds. Default: 15,000.',
  ),
  keepaliveIntervalMs: integer(
    1,
    MAX_KEEPALIVE_MS,
    'How long after one keepalive probe the next is sent. Unit: ms, rounded up to whole seconds. Default: 15,000.',
  ),
  keepaliveProbes: integer(
    1,
    127,
    'Keepalive probes without an answer after which a session is reset. Default: 9.',
  ),
  udpTimeoutMs: integer(
    1,
    MAX_TIME_MS,
    'How long a UDP flow lives without a datagram. Unit: ms. Default: 90,000.',
  ),
  udpSegmentation: flag('Whether runs of UDP datagrams pass the kernel as one. Default: true.'),
  maxFlows: integer(1, 1_048_576, 'Most UDP flows of a forward at a time. Default: 16,384.'),
  maxSessions: integer(
    1,
    1_048_576,
    'Most TCP sessions or UDP flows of a forward at a time. Default: any number.',
  ),
  maxSessionsPerSecond: integer(
    1,
    100_000,
    'Most new TCP sessions or UDP flows of a forward per second. Default: any number.',
  ),
  allow: blocks('The clients that are let in, and nobody else. Default: anybody.', 1, 100_000),
  deny: blocks('The clients that are refused, also of those allowed. Default: nobody.', 0, 100_000),
  sourceAddress: choice(
    ['container', 'transparent', 'proxy-v1', 'proxy-v2'],
    'Whose address the server sees. Default: container. UDP has no proxy-v1, and stays with container.',
  ),
  acceptProxy: flag(
    'Whether a load balancer in front names the clients, by the PROXY protocol. Default: false.',
  ),
  trustedProxies: blocks('The load balancers that are believed. Goes with acceptProxy.', 1, 1_024),
  proxyHeaderTimeoutMs: integer(
    1,
    MAX_TIME_MS,
    'How long a load balancer may take to send a header. Unit: ms. Default: 3,000.',
  ),
} satisfies Shape<ForwardSettings>;

const settings = (description: string) =>
  object({ ...forwarderShape, ...forwardShape }, description);

const match = object(
  {
    hostPort: may(
      z
        .union(
          [
            z.int({ error }).check(z.minimum(1, { error }), z.maximum(MAX_PORT, { error })),
            z.string({ error }).check(z.regex(/^\d{1,5}-\d{1,5}$/, { error })),
          ],
          { error },
        )
        .check(z.describe('The port of the host, or a range such as "8000-8010".')),
    ),
    protocol: choice(['tcp', 'udp'], 'The protocol.'),
    containerId: text(
      /^[\w.-]+$/,
      'the id of a container, or its beginning',
      'The id of the container, or its beginning.',
    ),
  } satisfies Shape<Match>,
  'Which forwards the rule is for: all of it must hold. Empty: every forward.',
);

const rule = object(
  { match, set: settings('The settings of those forwards.') } satisfies Shape<Rule>,
  'Settings for some forwards.',
);

/** A settings file. */
export const settingsFile = object(
  {
    $schema: text(/^/, 'the place of the schema', 'Where the schema is, for editors.'),
    defaults: may(settings('Settings of every forward and forwarder.')),
    rules: may(
      z
        .array(rule, { error: 'expected an array of rules' })
        .check(z.describe('Settings for some forwards. Where several match, the later wins.')),
    ),
  } satisfies Shape<SettingsFile>,
  'Settings of spliceport: what the configuration of a container engine cannot say.',
);

/** With commas between thousands, as the documentation has them. */
function inDigits(value: number): string {
  return String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
