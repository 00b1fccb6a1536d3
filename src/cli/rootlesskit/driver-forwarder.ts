// driver-forwarder.ts: the forwards of RootlessKit's ports, into the namespace that RootlessKit
// made.

import { Forwarder, parsePortSpec } from '../../index.js';
import type { Forward, ForwardSpec, SocketForwardSpec } from '../../index.js';

/** What the driver needs of its surroundings. */
export interface DriverOptions {
  /** The process that RootlessKit has started in its namespaces. */
  readonly child: number;
  /** Gives a forward its settings. */
  readonly settingsFor: (spec: ForwardSpec) => ForwardSpec;
  /** Called with a port whose server sees no clients' addresses although they are wanted. */
  readonly onUnseen: (forward: Forward) => void;
}

/** A forwarder that is a port driver of RootlessKit. */
export class DriverForwarder extends Forwarder {
  readonly #options: DriverOptions;

  constructor(options: DriverOptions & ConstructorParameters<typeof Forwarder>[0]) {
    const { child, settingsFor, onUnseen, ...own } = options;
    super({ ...own, netns: { pid: child } });
    this.#options = { child, settingsFor, onUnseen };
  }

  override async add(given: ForwardSpec | SocketForwardSpec | string): Promise<Forward> {
    const wanted = typeof given === 'string' ? parsePortSpec(given) : given;
    if (!('port' in wanted.host)) return super.add(wanted);
    const spec = this.#options.settingsFor(wanted as ForwardSpec);
    if (spec.sourceAddress !== 'transparent') return super.add(spec);
    // With `--userland-proxy=false` dockerd translates addresses on the way into the container,
    // and its answers to clients' own addresses would leave by another way: the port would be dead.
    const forward = await super.add({ ...spec, sourceAddress: 'container' });
    this.#options.onUnseen(forward);
    return forward;
  }
}
