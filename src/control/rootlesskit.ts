// rootlesskit.ts: the API of RootlessKit's port driver, which its own clients speak (rootlessctl,
// dockerd). Speaks RootlessKit's words (parentIP, childPort …); what leaves it for the forwarder
// does not.

import * as z from 'zod/mini';
import { isUnspecified } from '../address.js';
import type { Endpoint, Forward, ForwardSpec, SpliceportError } from '../index.js';
import { bindFailure } from '../rootlesskit/failure-texts.js';
import { check } from '../rootlesskit/ports.js';
import { checked } from './bodies.js';
import { Problem } from './problem.js';
import type { Context } from './context.js';

/** The version of RootlessKit's API that is spoken. */
const API_VERSION = '1.1.1';
/** What was asked for is kept of so many forwards, whether they are still there or not. */
const MIN_TO_FORGET_AT = 64;
const PROTOCOLS = ['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6'];

/** As in Go, what is absent or null is the zero value, and what is unknown is passed over. */
const text = z.pipe(
  z.nullish(z.string()),
  z.transform((value) => value ?? ''),
);
const port = z.pipe(
  z.nullish(z.int()),
  z.transform((value) => value ?? 0),
);
const portSpec = z.object({
  proto: text,
  parentIP: text,
  parentPort: port,
  childPort: port,
  childIP: text,
});

type PortSpec = z.infer<typeof portSpec>;

interface PortStatus {
  readonly id: number;
  readonly spec: Partial<PortSpec>;
}

/** What RootlessKit's clients see of a forwarder. */
export class RootlessKit {
  readonly #context: Context;
  /** What was asked for here, as it was asked for; and what became of it. */
  readonly #asked = new Map<number, { readonly spec: PortSpec; readonly container: Endpoint }>();
  #forgetAt = MIN_TO_FORGET_AT;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Answer of `GET /v1/info`. */
  info(): unknown {
    const { version, stateDir, container, rootlessKit } = this.#context;
    return {
      apiVersion: API_VERSION,
      version,
      stateDir,
      childPID: container?.pid ?? 0,
      // Clients follow it without looking whether it is there. Who made the network is not known
      // here.
      networkDriver: { driver: 'none' },
      ...rootlessKit?.info,
      portDriver: { driver: 'spliceport', protos: PROTOCOLS, disallowLoopbackChildIP: false },
    };
  }

  /** Answer of `GET /v1/ports`. */
  list(): PortStatus[] | null {
    const forwards = this.#context.forwarder.list();
    this.#forgetRemoved(forwards);
    return forwards.length === 0 ? null : forwards.map((forward) => this.#statusOf(forward));
  }

  /** Carries out `POST /v1/ports`. */
  async add(body: unknown): Promise<PortStatus> {
    const { forwarder, targetFor } = this.#context;
    const asked = checked(portSpec, body, 'body');
    const { proto, parentIP, parentPort, childPort, childIP } = asked;
    const wanted = {
      protocol: proto,
      hostAddress: parentIP === '' ? '0.0.0.0' : parentIP,
      hostPort: parentPort,
      containerPort: childPort,
      count: 1,
    };
    const { ranges, failure } = check([wanted], childIP, 1);
    const [range] = ranges;
    if (failure !== undefined || range === undefined) throw new Problem(400, failure ?? 'no port');
    const address = childIP === '' ? targetFor(range.host.address) : childIP;
    const spec: ForwardSpec = { ...range.spec, container: { address, port: childPort } };
    try {
      const forward = await forwarder.add(spec);
      if (this.#asked.size >= this.#forgetAt) this.#forgetRemoved(forwarder.list());
      this.#asked.set(this.#portOf(forward).id, { spec: asked, container: forward.container });
      return this.#statusOf(forward);
    } catch (error) {
      const { forwardId, message } = error as SpliceportError;
      if (forwardId !== undefined) {
        throw new Problem(400, `conflict with ID ${this.#idOf(forwardId)}`);
      }
      throw new Problem(400, bindFailure(error, ranges) ?? message);
    }
  }

  /** Carries out `DELETE /v1/ports/{id}`. */
  async remove(id: number): Promise<void> {
    const { forwarder, rootlessKit } = this.#context;
    const present = rootlessKit?.forwardOf(id) ?? id;
    if (forwarder.get(present) === undefined) throw new Problem(400, `unknown id: ${id}`);
    await forwarder.remove(present);
  }

  /** Called each time that their number has doubled, so that an add costs the same on average. */
  #forgetRemoved(forwards: readonly Forward[]): void {
    const ids = new Set(forwards.map(({ id }) => this.#idOf(id)));
    for (const id of this.#asked.keys()) if (!ids.has(id)) this.#asked.delete(id);
    this.#forgetAt = Math.max(MIN_TO_FORGET_AT, 2 * this.#asked.size);
  }

  /** The id that clients know a forward by. */
  #idOf(forwardId: number): number {
    return this.#context.rootlessKit?.portOf(forwardId)?.id ?? forwardId;
  }

  /** A forward as clients know it. */
  #portOf(forward: Forward): Pick<Forward, 'id' | 'container'> {
    return this.#context.rootlessKit?.portOf(forward.id) ?? forward;
  }

  /** As it was asked for, unless it was asked for elsewhere or has another target by now. */
  #statusOf(forward: Forward): PortStatus {
    const { id, container } = this.#portOf(forward);
    const asked = this.#asked.get(id);
    const before = asked?.container;
    const isAsAsked = before?.address === container.address && before.port === container.port;
    const spec = asked !== undefined && isAsAsked ? asked.spec : specOf({ ...forward, container });
    return { id, spec: Object.fromEntries(Object.entries(spec).filter(([, value]) => value)) };
  }
}

function specOf({ protocol, host, container }: Forward): PortSpec {
  const isSingleFamily = !host.dualStack && isUnspecified(host.address);
  const family = host.address.includes(':') ? '6' : '4';
  return {
    proto: isSingleFamily ? `${protocol}${family}` : protocol,
    parentIP: host.dualStack ? '0.0.0.0' : host.address,
    parentPort: host.port,
    childPort: container.port,
    childIP: container.address,
  };
}
