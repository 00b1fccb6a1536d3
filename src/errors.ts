// errors.ts: every error that the library makes. Imports only what the process has already loaded.

import { describeErrno } from './errno.js';
import type { Protocol, Side } from './types/endpoints.js';
import { assignDefined } from './util.js';

/**
 * Codes of the library's own errors; errors of the system have the name of their errno instead
 * (`EADDRINUSE`). Codes never change their meaning: match them, not the text. docs/errors.md lists
 * them.
 */
export type SpliceportErrorCode =
  | 'ERR_SPLICEPORT_ALREADY_FORWARDED'
  | 'ERR_SPLICEPORT_BINDING_LOAD'
  | 'ERR_SPLICEPORT_CLOSED'
  | 'ERR_SPLICEPORT_INVALID_ARG_TYPE'
  | 'ERR_SPLICEPORT_INVALID_PORT_SPEC'
  | 'ERR_SPLICEPORT_LEADS_TO_ITSELF'
  | 'ERR_SPLICEPORT_NETNS_GONE'
  | 'ERR_SPLICEPORT_NO_SUCH_FORWARD'
  | 'ERR_SPLICEPORT_OUT_OF_RANGE'
  | 'ERR_SPLICEPORT_UNSAFE_FOLDER'
  | 'ERR_SPLICEPORT_UNSUITABLE_SOCKET';

/** The argument errors: a `TypeError` or a `RangeError` with a {@link SpliceportErrorCode}. */
export interface SpliceportArgumentError extends Error {
  readonly code: SpliceportErrorCode;
}

/** A failed system call, as the addon reports it; `errno` is negative. */
interface SystemFailure {
  readonly errno: number;
  readonly syscall: string;
}

/** What a failed system call was about. */
export interface SystemErrorContext {
  readonly side?: Side | undefined;
  readonly protocol?: Protocol | undefined;
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  readonly path?: string | undefined;
  readonly hint?: string | undefined;
}

/** Any failure other than an invalid argument. */
export class SpliceportError extends Error {
  static {
    this.prototype.name = 'SpliceportError';
  }

  /** A {@link SpliceportErrorCode}, or the name of an errno. */
  readonly code: SpliceportErrorCode | (string & Record<never, never>);
  /**
   * The forward in question: the one that has the port already or that a target leads to, or the
   * unknown id.
   */
  declare readonly forwardId?: number;

  constructor(
    code: string,
    message: string,
    options: { readonly cause?: unknown; readonly forwardId?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    assignDefined(this, { forwardId: options.forwardId });
  }
}

/**
 * A failed system call, in the form of Node's own errors: the message is `<syscall> <CODE>: <text>
 * <address>:<port>`, or ends with the path if there is one.
 */
export class SpliceportSystemError extends SpliceportError {
  static {
    this.prototype.name = 'SpliceportSystemError';
  }

  /** The system's number for `code`; negative, as in Node. */
  readonly errno: number;
  readonly syscall: string;
  /** The side of the forward that failed; absent if the call is for neither. */
  declare readonly side?: Side;
  declare readonly protocol?: Protocol;
  declare readonly address?: string;
  declare readonly port?: number;
  /** The file in question, such as that of a network namespace. */
  declare readonly path?: string;
  /**
   * Advice in a sentence or two, if the cause is a common one. Its wording may change at any time.
   */
  declare readonly hint?: string;

  constructor(failure: SystemFailure, context: SystemErrorContext = {}) {
    const { code, text } = describeErrno(failure.errno);
    const { side, protocol, address, port, path, hint } = context;
    const subject = path ?? (address === undefined ? '' : `${address}:${port}`);
    super(code, `${failure.syscall} ${code}: ${text} ${subject}`.trimEnd());
    this.errno = failure.errno;
    this.syscall = failure.syscall;
    assignDefined(this, { side, protocol, address, port, path, hint });
  }
}

/** An argument of the wrong type. */
export function invalidArgType(
  name: string,
  expected: string,
  value: unknown,
): TypeError & SpliceportArgumentError {
  return Object.assign(new TypeError(unexpected(name, expected, value)), {
    code: 'ERR_SPLICEPORT_INVALID_ARG_TYPE' as const,
  });
}

/** An argument of the right type with an invalid value. */
export function outOfRange(
  name: string,
  expected: string,
  value: unknown,
): RangeError & SpliceportArgumentError {
  return Object.assign(new RangeError(unexpected(name, expected, value)), {
    code: 'ERR_SPLICEPORT_OUT_OF_RANGE' as const,
  });
}

/** Unknown fields: misspelt, or from another object. */
export function unknownFields(
  name: string,
  unknown: readonly string[],
  known: readonly string[],
): TypeError & SpliceportArgumentError {
  const what = unknown.length === 1 ? 'an unknown field' : 'unknown fields';
  const text = `${name} has ${what}: ${unknown.join(', ')}; it takes ${known.join(', ')}`;
  return Object.assign(new TypeError(text), {
    code: 'ERR_SPLICEPORT_INVALID_ARG_TYPE' as const,
  });
}

/** A malformed port specification; `problem` is a clause with the reason. */
export function invalidPortSpec(
  spec: string,
  problem: string,
): TypeError & SpliceportArgumentError {
  const expected = 'a port specification such as 127.0.0.1:8080:80/tcp';
  return Object.assign(new TypeError(`${unexpected('spec', expected, spec)}: ${problem}`), {
    code: 'ERR_SPLICEPORT_INVALID_PORT_SPEC' as const,
  });
}

/** The forwarder was closed before the call. */
export function closedError(cause?: unknown): SpliceportError {
  return new SpliceportError('ERR_SPLICEPORT_CLOSED', 'The forwarder is closed', { cause });
}

/** No forward has this id, or it is being removed. */
export function noSuchForward(forwardId: number): SpliceportError {
  return new SpliceportError('ERR_SPLICEPORT_NO_SUCH_FORWARD', `There is no forward ${forwardId}`, {
    forwardId,
  });
}

function unexpected(name: string, expected: string, value: unknown): string {
  const wanted = `Expected ${expected} for ${name} but received`;
  if (value === undefined || value === null) {
    return `${wanted} ${value === null ? 'null' : 'nothing'}`;
  }
  return `${wanted} ${show(value)} of type ${typeof value}`;
}

function show(value: unknown): string {
  const maxLength = 100;
  let text: string;
  if (typeof value === 'string') {
    text = JSON.stringify(value);
  } else if (typeof value === 'function') {
    text = 'a function';
  } else if (typeof value === 'object' && value !== null) {
    text = Array.isArray(value) ? 'an array' : 'an object';
  } else {
    text = String(value);
  }
  return text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
}
