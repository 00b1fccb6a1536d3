// defaults.ts: what holds where a settings file says nothing.

import { availableParallelism } from 'node:os';
import { logFields } from '../log/log-fields.js';
import {
  engineFields,
  forwardFields,
  type AnyField,
  type AnyFields,
  type SomeOf,
} from '../spec/fields.js';
import { forwarderFields } from './forwarder-fields.js';
import type { Settings } from './settings-types.js';

/** Every setting that has a value by itself. */
export function builtInDefaults(): Settings {
  return {
    ...defaultsOf(engineFields),
    workers: Math.min(engineFields.workers.default, availableParallelism()),
    ...defaultsOf(forwarderFields),
    log: defaultsOf(logFields),
    ...defaultsOf(forwardFields),
  };
}

function defaultsOf<T extends AnyFields>(fields: T): SomeOf<T> {
  const own = Object.entries<AnyField>(fields).map(([key, field]) => [key, field.default] as const);
  return Object.fromEntries(own.filter(([, value]) => value !== undefined)) as SomeOf<T>;
}
