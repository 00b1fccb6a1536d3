// to-zod.ts: shapes of objects for the schema library, made from tables of fields.

import * as z from 'zod/mini';
import type { AnyField, AnyFields, ValueOf } from '../spec/fields.js';
import { blockExpected, description, expectation } from './words.js';

/** What JSON leaves out is absent, never undefined. */
export const may = z.exactOptional;

/** An object's fields, all of which may be left out. */
export type ShapeOf<T> = {
  readonly [K in keyof T]: z.ZodMiniExactOptional<z.ZodMiniType<ValueOf<T[K]>>>;
};

/** Fields by their types alone: who takes the values checks the rest. */
export function typesOf<T extends AnyFields>(fields: T): ShapeOf<T> {
  return shapeOf(fields, (field) => toZod(field, undefined));
}

/**
 * Fields with their bounds and descriptions. Whatever is wrong with one, the message says what it
 * takes.
 */
export function boundsOf<T extends AnyFields>(fields: T): ShapeOf<T> {
  return shapeOf(fields, (field) =>
    toZod(field, `expected ${expectation(field)}`).check(z.describe(description(field))),
  );
}

function shapeOf<T extends AnyFields>(
  fields: T,
  make: (field: AnyField) => z.ZodMiniType,
): ShapeOf<T> {
  const entries = Object.entries(fields).map(([key, field]) => [key, may(make(field))]);
  return Object.fromEntries(entries) as ShapeOf<T>;
}

/** What a field takes; within its bounds where there is an error for what is not. */
function toZod(field: AnyField, error: string | undefined): z.ZodMiniType {
  const isBounded = error !== undefined;
  const bounded = <T extends z.ZodMiniType>(schema: T, ...checks: Parameters<T['check']>): T =>
    isBounded ? schema.check(...checks) : schema;
  switch (field.type) {
    case 'integer':
      return bounded(
        z.int({ error }),
        z.minimum(field.min, { error }),
        z.maximum(field.max, { error }),
      );
    case 'integer or word':
      return z.union([toZod({ ...field, type: 'integer' }, error), z.literal(field.word)], {
        error,
      });
    case 'flag':
      return z.boolean({ error });
    case 'choice':
      return z.enum([...field.values], { error });
    case 'blocks':
      // Which texts are blocks is the library's to say.
      return bounded(
        z.array(z.string({ error: isBounded ? blockExpected : undefined }), { error }),
        z.minLength(field.min, { error }),
        z.maxLength(field.max, { error }),
      );
    case 'text':
      return bounded(z.string({ error }), z.regex(field.pattern, { error }));
  }
}
