// bodies.ts: what may be sent to the control API. Fields and types are checked here; the ranges of
// most values by the library, which names what is wrong as well.

import * as z from 'zod/mini';
import type { ForwardSpec, TargetChange } from '../index.js';
import { may, typesOf } from '../schema/to-zod.js';
import { forwardFields } from '../spec/fields.js';
import { Problem } from './problem.js';
import type { AddRequest, DrainRequest } from './control-types.js';

const MAX_SPECS = 65_535;
const MAX_DRAIN_MS = 86_400_000;

type Shape<T> = Record<keyof T, z.ZodMiniType>;

const netns = z.union([z.strictObject({ pid: z.int() }), z.strictObject({ path: z.string() })]);

const settings = typesOf(forwardFields);

const forwardSpec = z.strictObject({
  protocol: may(z.enum(['tcp', 'udp'])),
  host: z.strictObject({ address: may(z.string()), port: z.int() }),
  container: z.strictObject({ address: may(z.string()), port: z.int() }),
  count: may(z.int()),
  netns: may(netns),
  ...settings,
} satisfies Shape<ForwardSpec>);

/** Body of `POST /v1/forwards`. */
export const addRequest: z.ZodMiniType<AddRequest> = z.strictObject({
  specs: z.array(z.union([z.string(), forwardSpec])).check(z.minLength(1), z.maxLength(MAX_SPECS)),
} satisfies Shape<AddRequest>);

/** Body of `PATCH /v1/forwards/{id}`. */
export const targetChange: z.ZodMiniType<TargetChange> = z.strictObject({
  address: may(z.string()),
  port: may(z.int()),
  netns: may(netns),
} satisfies Shape<TargetChange>);

/** Body of `POST /v1/drain`. */
export const drainRequest: z.ZodMiniType<DrainRequest> = z.strictObject({
  drainMs: z.int().check(z.minimum(0), z.maximum(MAX_DRAIN_MS)),
} satisfies Shape<DrainRequest>);

/** Query of `DELETE /v1/forwards/{id}`. */
export const removeQuery: z.ZodMiniType<{ readonly drainMs?: number }> = z.strictObject({
  drainMs: may(z.coerce.number().check(z.int(), z.minimum(0), z.maximum(MAX_DRAIN_MS))),
});

/** Query of `GET /v1/sessions`. */
export const sessionsQuery: z.ZodMiniType<{ readonly forwardId?: number }> = z.strictObject({
  forwardId: may(z.coerce.number().check(z.int(), z.minimum(1))),
});

/** The id in a path. @throws Problem */
export function parseId(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new Problem(400, `bad id ${text}: it is not a number`);
  return Number(text);
}

/**
 * Reads JSON.
 * @throws Problem
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(400, `the body is not JSON: ${(error as Error).message}`);
  }
}

/**
 * Gives the value with its type.
 * @param name - What it is, for the message: `body` or `query`.
 * @throws Problem that names every field that is wrong
 */
export function checked<T>(schema: z.ZodMiniType<T>, value: unknown, name: string): T {
  const result = z.safeParse(schema, value, { reportInput: true });
  if (result.success) return result.data;
  throw new Problem(400, result.error.issues.map((issue) => explain(name, issue)).join('; '));
}

function explain(name: string, issue: z.core.$ZodIssue): string {
  const place = issue.path.reduce<string>(
    (path, key) => (typeof key === 'number' ? `${path}[${key}]` : `${path}.${String(key)}`),
    name,
  );
  if (issue.code !== 'invalid_union') return `${place} ${complaint(issue)}`;
  const ofItsType = issue.errors.find(
    ([first]) => first?.code !== 'invalid_type' || first.path.length > 0,
  );
  if (ofItsType !== undefined) return ofItsType.map((inner) => explain(place, inner)).join('; ');
  const wanted = issue.errors
    .flat()
    .flatMap((inner) => ('expected' in inner ? typeName(inner.expected) : []));
  return `${place} must be ${[...new Set(wanted)].join(' or ')}`;
}

/** What is wrong, as the end of a sentence that begins with the place. */
function complaint(issue: z.core.$ZodIssue): string {
  const { code } = issue;
  if (code === 'invalid_type') {
    return issue.input === undefined ? 'is missing' : `must be ${typeName(issue.expected)}`;
  }
  if (code === 'too_small' || code === 'too_big') {
    const bound = code === 'too_small' ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
    return `must ${issue.origin === 'array' ? 'have' : 'be'} ${bound}`;
  }
  if (code === 'invalid_value') {
    return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
  }
  if (code === 'unrecognized_keys') return `has unknown fields: ${issue.keys.join(', ')}`;
  return 'is wrong';
}

/** A type in words; every number of a call is an integer. */
function typeName(expected: string): string {
  if (expected === 'number' || expected === 'int') return 'an integer';
  if (expected === 'boolean') return 'true or false';
  return `${/^[aeiou]/.test(expected) ? 'an' : 'a'} ${expected}`;
}
