// problem.ts: from an error to the status and the body of an answer.

import type { Failure } from './control-types.js';

/** A call that is refused for what is wrong with it. */
export class Problem extends Error {
  readonly status: number;
  /** Further headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/**
 * The status that tells of an error: 400 for what is wrong with the call, 404 for a forward that is
 * gone, 409 for what stands against it.
 */
export function statusOf(error: unknown): number {
  if (error instanceof Problem) return error.status;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return 500;
  const isArgument = error instanceof TypeError || error instanceof RangeError;
  if (code === 'ERR_SPLICEPORT_NO_SUCH_FORWARD') return 404;
  return isArgument ? 400 : 409;
}

/** What to tell of an error. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, code, hint }: Error & Partial<Failure> = error;
  return {
    message,
    ...(code !== undefined && { code }),
    ...(hint !== undefined && { hint }),
  };
}
