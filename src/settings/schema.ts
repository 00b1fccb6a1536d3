// schema.ts: what may stand in a settings file, as far as a JSON Schema can say it; consistency.ts
// has the rest. The published schema is made of this by scripts/docs.mjs, and the helper's check by
// scripts/build.mjs.

import * as z from 'zod/mini';
import { boundsOf, may } from '../schema/to-zod.js';
import { logFields } from '../log/log-fields.js';
import { engineFields, forwardFields, type AnyFields } from '../spec/fields.js';
import { MAX_PORT, portExpected as error } from './keys.js';
import { forwarderFields } from './forwarder-fields.js';
import type { Match, Rule, Settings, SettingsFile } from './settings-types.js';

type Shape<T> = Record<keyof T, z.ZodMiniType>;

function object<T extends z.core.$ZodShape>(shape: T, description: string) {
  const keys = Object.keys(shape).join(', ');
  return z
    .strictObject(shape, {
      error: ({ code }) =>
        code === 'unrecognized_keys' ? `expected one of ${keys}` : 'expected an object',
    })
    .check(z.describe(description));
}

const settingsShape = {
  ...boundsOf(engineFields),
  ...boundsOf(forwarderFields),
  log: may(object(boundsOf(logFields), 'What is logged, and where to.')),
  ...boundsOf(forwardFields),
} satisfies Shape<Settings>;

const settings = (description: string) => object(settingsShape, description);

const matchFields = {
  protocol: { type: 'choice', values: ['tcp', 'udp'], text: 'The protocol.' },
  containerId: {
    type: 'text',
    pattern: /^[\w.-]+$/,
    expected: 'the id of a container, or its beginning',
    text: 'The id of the container, or its beginning.',
  },
} as const satisfies AnyFields;

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
    ...boundsOf(matchFields),
  } satisfies Shape<Match>,
  'Which forwards the rule is for: all of it must hold. Empty: every forward.',
);

const rule = object(
  { match, set: settings('The settings of those forwards.') } satisfies Shape<Rule>,
  'Settings for some forwards.',
);

const fileFields = {
  $schema: {
    type: 'text',
    pattern: /^/,
    expected: 'the place of the schema',
    text: 'Where the schema is, for editors.',
  },
} as const satisfies AnyFields;

export const settingsFile = object(
  {
    ...boundsOf(fileFields),
    defaults: may(settings('Settings of every forward and forwarder.')),
    rules: may(
      z
        .array(rule, { error: 'expected an array of rules' })
        .check(z.describe('Settings for some forwards. Where several match, the later wins.')),
    ),
  } satisfies Shape<SettingsFile>,
  'Settings of spliceport: what the configuration of a container engine cannot say.',
);
