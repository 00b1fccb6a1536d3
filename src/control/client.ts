// client.ts: calls to the control socket of a running forwarder, and the list of those there are.

import { closeSync, constants, openSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { basename, dirname } from 'node:path';
import type { TargetChange } from '../index.js';
import { assignDefined } from '../util.js';
import { controlFolders, socketsIn } from './folder.js';
import type {
  DrainReport,
  DrainRequest,
  Failure,
  Forward,
  ForwarderInfo,
  ForwardSpec,
  Session,
  StatsReport,
} from './control-types.js';

const DEFAULT_TIMEOUT_MS = 10_000;
/** The longest path that the address of a unix socket holds. */
const MAX_ADDRESS_BYTES = 107;

/** A forwarder that answered at its control socket. */
export interface RunningForwarder {
  /** Its control socket. */
  readonly socketPath: string;
  /** What it told of itself when it was asked. */
  readonly info: ForwarderInfo;
  /** For further calls. */
  readonly client: ControlClient;
}

/** A call that failed. */
export class ControlError extends Error {
  static {
    this.prototype.name = 'ControlError';
  }

  /** The HTTP status, where an answer came. */
  declare readonly status?: number;
  /** A code of docs/errors.md, or the errno's name of a socket that could not be reached. */
  declare readonly code?: string;
  /** What to do about it. */
  declare readonly hint?: string;

  constructor(
    message: string,
    details: {
      readonly status?: number | undefined;
      readonly code?: string | undefined;
      readonly hint?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    const { cause, ...facts } = details;
    super(message, cause === undefined ? undefined : { cause });
    assignDefined(this, facts);
  }
}

/** How to call. */
export interface ClientOptions {
  /**
   * How long an answer may take, beyond the drain time of what drains. Unit: ms. Default: 10,000.
   */
  readonly timeoutMs?: number;
}

/** Calls to one forwarder. Every method rejects with a {@link ControlError}. */
export class ControlClient {
  /** The socket that it calls. */
  readonly socketPath: string;
  readonly #timeoutMs: number;

  constructor(socketPath: string, options: ClientOptions = {}) {
    this.socketPath = socketPath;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /** The process itself. */
  info(): Promise<ForwarderInfo> {
    return this.#call('GET', '/v1/forwarder');
  }

  /** The forwards that take clients, by id. */
  forwards(): Promise<Forward[]> {
    return this.#call('GET', '/v1/forwards');
  }

  /** One forward that takes clients. */
  forward(id: number): Promise<Forward> {
    return this.#call('GET', `/v1/forwards/${id}`);
  }

  /** Adds forwards, ranges among them: all or none. */
  add(specs: readonly (ForwardSpec | string)[]): Promise<Forward[]> {
    return this.#call('POST', '/v1/forwards', { body: { specs } });
  }

  /** Ends a forward; settles when its last session has ended. */
  async remove(id: number, { drainMs = 0 }: Partial<DrainRequest> = {}): Promise<void> {
    const query = drainMs === 0 ? '' : `?drainMs=${drainMs}`;
    await this.#call('DELETE', `/v1/forwards/${id}${query}`, { extraMs: drainMs });
  }

  /** Gives a forward a new target, in place. */
  retarget(id: number, change: TargetChange): Promise<Forward> {
    return this.#call('PATCH', `/v1/forwards/${id}`, { body: change });
  }

  /** The sessions and flows that are open now; of one forward when its id is given. */
  sessions(forwardId?: number): Promise<Session[]> {
    const query = forwardId === undefined ? '' : `?forwardId=${forwardId}`;
    return this.#call('GET', `/v1/sessions${query}`);
  }

  /** Counters. */
  stats(): Promise<StatsReport> {
    return this.#call('GET', '/v1/stats');
  }

  /** Stops accepting and lets sessions end; settles when all have ended. */
  drain(request: DrainRequest): Promise<DrainReport> {
    return this.#call('POST', '/v1/drain', { body: request, extraMs: request.drainMs });
  }

  /** The counters as Prometheus reads them. */
  metrics(): Promise<string> {
    return this.#request('GET', '/metrics', {});
  }

  async #call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const text = await this.#request(method, path, options);
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch (cause) {
      throw new ControlError(`${this.socketPath} did not answer in JSON`, { cause });
    }
  }

  /**
   * Who answers for a helper may end and be another's the next moment: what changes nothing is
   * asked once again.
   */
  async #request(method: string, path: string, options: CallOptions): Promise<string> {
    try {
      return await this.#requestOnce(method, path, options);
    } catch (error) {
      const { code = '' } = error as ControlError;
      if (method !== 'GET' || !CUT_OFF.includes(code)) throw error;
      return this.#requestOnce(method, path, options);
    }
  }

  async #requestOnce(
    method: string,
    path: string,
    { body, extraMs = 0 }: CallOptions,
  ): Promise<string> {
    const { request } = await import('node:http');
    const data = body === undefined ? undefined : JSON.stringify(body);
    const timeoutMs = this.#timeoutMs + extraMs;
    const address = addressOf(this.socketPath);
    return new Promise<string>((resolve, reject) => {
      const call = request({
        socketPath: address.path,
        method,
        path,
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          host: 'spliceport',
          ...(data !== undefined && {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(data),
          }),
        },
      });
      const fail = (cause: Error) => reject(unreachable(this.socketPath, cause, timeoutMs));
      call.once('error', fail);
      call.once('response', (response) => {
        textOf(response).then((text) => {
          const { statusCode: status = 0 } = response;
          if (status >= 200 && status < 300) resolve(text);
          else reject(refusal(status, text));
        }, fail);
      });
      call.end(data);
    }).finally(address.release);
  }
}

interface CallOptions {
  readonly body?: unknown;
  /** Time that the answer may take by its nature. Unit: ms. */
  readonly extraMs?: number;
}

/** Codes of calls to forwarders that have ended during the call. */
const CUT_OFF: readonly string[] = ['ECONNRESET', 'EPIPE'];
/** The same, also of those that had ended before. */
const ENDED: readonly string[] = ['ENOENT', 'ECONNREFUSED', ...CUT_OFF];

/**
 * Every forwarder of this user that answers, by pid.
 * @param folders - Where to look. Default: every folder that forwarders of this user use by
 * default.
 * @param onSilent - Told of each that runs, as far as can be seen, and does not answer.
 */
export async function listForwarders(
  folders: readonly string[] = controlFolders(),
  onSilent: (socketPath: string, failure: ControlError) => void = () => undefined,
): Promise<RunningForwarder[]> {
  const paths = folders.flatMap(socketsIn);
  const found = await Promise.all(
    paths.map(async (socketPath): Promise<RunningForwarder | undefined> => {
      const client = new ControlClient(socketPath, { timeoutMs: 2_000 });
      try {
        return { socketPath, info: await client.info(), client: new ControlClient(socketPath) };
      } catch (error) {
        const failure = error as ControlError;
        if (!ENDED.includes(failure.code ?? '')) onSilent(socketPath, failure);
        return undefined;
      }
    }),
  );
  return found
    .filter((forwarder) => forwarder !== undefined)
    .sort((one, other) => one.info.pid - other.info.pid);
}

/** A path that leads to the socket and is short enough. */
function addressOf(socketPath: string): { readonly path: string; readonly release: () => void } {
  if (Buffer.byteLength(socketPath) <= MAX_ADDRESS_BYTES) {
    return { path: socketPath, release: () => undefined };
  }
  let fd: number;
  try {
    fd = openSync(dirname(socketPath), constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw unreachable(socketPath, cause as Error, 0);
  }
  return {
    path: `/proc/self/fd/${fd}/${basename(socketPath)}`,
    release: () => closeSync(fd),
  };
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

function refusal(status: number, text: string): ControlError {
  let failure: Partial<Failure>;
  try {
    failure = JSON.parse(text) as Partial<Failure>;
  } catch {
    failure = {};
  }
  const { message = `the forwarder answered with status ${status}`, code, hint } = failure;
  return new ControlError(message, { status, code, hint });
}

/** What to do about a socket that cannot be reached. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'The forwarder has ended, or its control socket is elsewhere.',
  ECONNREFUSED: 'The forwarder has ended without removing its socket; the next one to start will.',
  EACCES: 'A control socket is for the user who runs the forwarder. Call as that user.',
  ABORT_ERR: 'The forwarder is stopped or very busy; try again.',
};

function unreachable(socketPath: string, cause: Error, timeoutMs: number): ControlError {
  const { code } = cause as NodeJS.ErrnoException;
  const problem = code === 'ABORT_ERR' ? `no answer within ${timeoutMs} ms` : cause.message;
  const hint = ADVICE[code ?? ''];
  return new ControlError(`cannot call ${socketPath}: ${problem}`, { code, hint, cause });
}
