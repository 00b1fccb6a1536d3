// failure.ts: failures of the command line: message, advice and exit code.

import { assignDefined } from '../util.js';

/** Exit codes of every command; docs/cli.md documents them. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  notAllowed: 4,
  portTaken: 5,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A failure with its exit code, and with advice if there is any. */
export class CliFailure extends Error {
  static {
    this.prototype.name = 'CliFailure';
  }

  readonly exitCode: ExitCode;
  /** What to do next, in a sentence or two. */
  declare readonly hint?: string;
  /** A code from docs/errors.md, or the name of an errno. */
  declare readonly code?: string;

  constructor(
    exitCode: ExitCode,
    message: string,
    details: {
      readonly hint?: string | undefined;
      readonly code?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.exitCode = exitCode;
    assignDefined(this, { hint: details.hint, code: details.code });
  }
}

/** A usage error. */
export function usageFailure(message: string, hint?: string): CliFailure {
  return new CliFailure(exitCodes.usage, message, { hint });
}

const exitCodeOf: Readonly<Record<string, ExitCode>> = {
  ERR_SPLICEPORT_ALREADY_FORWARDED: exitCodes.portTaken,
  ERR_SPLICEPORT_INVALID_ARG_TYPE: exitCodes.usage,
  ERR_SPLICEPORT_INVALID_PORT_SPEC: exitCodes.usage,
  ERR_SPLICEPORT_NETNS_GONE: exitCodes.notFound,
  ERR_SPLICEPORT_NO_SUCH_FORWARD: exitCodes.notFound,
  ERR_SPLICEPORT_OUT_OF_RANGE: exitCodes.usage,
  ERR_SPLICEPORT_UNSAFE_FOLDER: exitCodes.notAllowed,
  EACCES: exitCodes.notAllowed,
  EADDRINUSE: exitCodes.portTaken,
  ECONNREFUSED: exitCodes.notFound,
  ENOENT: exitCodes.notFound,
  EPERM: exitCodes.notAllowed,
};

const hintOf: Readonly<Record<string, string>> = {
  ERR_SPLICEPORT_INVALID_PORT_SPEC: 'See "spliceport forward --help" for examples.',
  ERR_SPLICEPORT_LEADS_TO_ITSELF:
    'Is that the right container? This one uses the network of the host. Use another port, or an address.',
  ERR_SPLICEPORT_NETNS_GONE: 'The container may have stopped or restarted. Look it up again.',
  ERR_SPLICEPORT_NO_SUCH_FORWARD: '"spliceport ls" lists the forwards.',
};

/**
 * Turns any error of the library or the control API into a failure; an internal error keeps its
 * stack.
 */
export function failureOf(error: unknown): CliFailure {
  if (error instanceof CliFailure) return error;
  const { code, hint } = (typeof error === 'object' && error !== null ? error : {}) as {
    readonly code?: string;
    readonly hint?: string;
  };
  const known = code !== undefined || (error instanceof Error && error.name === 'ControlError');
  if (!(error instanceof Error) || !known) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return new CliFailure(exitCodes.failed, `internal error: ${text}`, {
      cause: error,
    });
  }
  return new CliFailure(exitCodeOf[code ?? ''] ?? exitCodes.failed, error.message, {
    code,
    hint: hint ?? hintOf[code ?? ''],
    cause: error,
  });
}
