// container.ts: the published ports of one container, from a checked configuration to their end. It has no part of the
// process that it runs in: several may run in one, and on one engine.

import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ControlSocket } from '../../control/listen.js';
import { Forwarder, type Engine } from '../../index.js';
import { bindFailure, netnsFailure } from '../../rootlesskit/failures.js';
import { callText, quote } from '../../rootlesskit/go-text.js';
import { check } from '../../rootlesskit/ports.js';
import { targetRule } from '../../rootlesskit/target-rule.js';
import { probeNetns, raiseFileLimit, type UnixSocketType } from '../../system.js';
import { addWithSettings } from './add-forwards.js';
import { expand, type Config, type Mapping } from './config.js';
import { oneLine } from './one-line.js';
import { openOwnFolder, ReloadSocket } from './reload-socket.js';
import { reload } from './reload.js';
import type { HelperSettings } from './settings.js';

/** What {@link Container.start} takes beside the configuration. */
export interface ContainerOptions {
  readonly settings: HelperSettings;
  /** One to share with other containers; the settings of engines in the settings file are not for it. */
  readonly engine?: Engine;
}

/** The forwards of a container, and how they are reached. */
export class Container {
  readonly forwarder: Forwarder;
  readonly #config: Config;
  readonly #settings: HelperSettings;
  #containerAddress: string;
  #reloadSocket: ReloadSocket | undefined;
  #control: ControlSocket | undefined;
  #watch: { close(): void } | undefined;
  #isOpen = true;

  private constructor(config: Config, { settings, engine }: ContainerOptions) {
    this.#config = config;
    this.#settings = settings;
    this.#containerAddress = config.containerAddress;
    const { options } = settings;
    const { onSessionsEnded } = options;
    this.forwarder = new Forwarder({
      netns: { path: config.netnsPath },
      ...(engine === undefined
        ? options
        : { engine, ...(onSessionsEnded !== undefined && { onSessionsEnded }) }),
    });
  }

  /**
   * Opens the ports, and the reload socket where the configuration asks for it. Nothing is left of what failed.
   * @throws Error with the text for the caller
   */
  static async start(config: Config, options: ContainerOptions): Promise<Container> {
    const { log, reloadSocket } = options.settings;
    const folder = makeFolder(config.folder);
    const container = new Container(config, options);
    try {
      await forwardAll(container.forwarder, config, options.settings);
      if (config.wantsReloadSocket) {
        const type = reloadSocketType(config.mappings, reloadSocket);
        container.#reloadSocket = openReloadSocket(folder, config, type, (request) =>
          container.#answer(request),
        );
      }
    } catch (error) {
      logFailure(log, error);
      container.close();
      throw error;
    }
    const forwards = log === undefined ? [] : container.forwarder.list();
    log?.info(
      { event: 'ready', forwards },
      forwards.length === 1 ? '1 port is forwarded' : `${forwards.length} ports are forwarded`,
    );
    return container;
  }

  /** Lets the user see and steer it, and logs what happens. It is nothing to fail for: the container's ports are open. */
  async show(): Promise<void> {
    const { containerId, folder } = this.#config;
    const { controlSocket, log, notices } = this.#settings;
    this.#watch = log?.watch(this.forwarder);
    if (!controlSocket) return;
    try {
      const { openControlSocket } = await import('../../control/listen.js');
      if (!this.#isOpen) return;
      this.#control = openControlSocket(this.forwarder, {
        program: 'rootlessport',
        ...(containerId !== '' && { container: { id: containerId } }),
        fallbackFolder: join(folder, 'spliceport'),
        notices,
        targetFor: (hostAddress) => targetRule(this.#containerAddress)(hostAddress),
      });
    } catch (error) {
      // The caller listens no more: if "spliceport ls" does not show the helper, the log may say why.
      this.#settings.tell(`there is no control socket: ${String(error)}`, 'no-control-socket');
    }
  }

  /**
   * Leads the ports to another address of the container; all or nothing. The empty one stands for its loopback.
   * @returns `OK`, or what failed.
   */
  reload(address: string): Promise<string> {
    return this.#answer(JSON.stringify(address));
  }

  /** Ends the forwards at once, and removes the sockets. All of it has happened when it returns; may be called twice. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watch?.close();
    this.#control?.close();
    this.#reloadSocket?.close();
    void this.forwarder.close();
    this.#settings.log?.info({ event: 'closed', stats: this.forwarder.stats() }, 'ended');
  }

  async #answer(request: string): Promise<string> {
    const reply = await reload(request, this.forwarder, (address) => {
      this.#containerAddress = address;
    });
    if (reply !== 'OK') this.#settings.log?.warn({ event: 'reload-refused' }, reply);
    return reply;
  }
}

/** Logs why there is no container. */
export function logFailure(log: HelperSettings['log'], error: unknown): void {
  log?.error({ event: 'failed' }, oneLine(error instanceof Error ? error.message : String(error)));
}

/** The folder for reload sockets, which a user's helpers share. It is made whether there will be a socket or not. */
function makeFolder(parent: string): string {
  const folder = join(parent, 'rp');
  try {
    makePath(folder);
  } catch (error) {
    throw new Error(callText(error, folder), { cause: error });
  }
  return folder;
}

/** As node's recursive mkdir, which never gives up in a folder such as /proc that takes no others. */
function makePath(path: string, hasParent = false): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !hasParent) {
      makePath(dirname(path));
      makePath(path, true);
    } else if (code !== 'EEXIST' || !statSync(path).isDirectory()) {
      throw error;
    }
  }
}

/** Forwards every port. Of several failures, the one that Podman's order puts first is told. */
async function forwardAll(
  forwarder: Forwarder,
  { mappings, containerAddress, netnsPath }: Config,
  settings: HelperSettings,
): Promise<void> {
  const { ranges, failure } = check(expand(mappings), containerAddress, raiseFileLimit());
  try {
    await addWithSettings(
      forwarder,
      ranges.map(({ spec }) => spec),
      settings,
    );
    if (ranges.length === 0) probeNetns(netnsPath);
  } catch (error) {
    const text = bindFailure(error, ranges) ?? failure ?? netnsFailure(error, netnsPath);
    throw text === undefined ? error : new Error(text, { cause: error });
  }
  if (failure !== undefined) throw new Error(failure);
}

function openReloadSocket(
  folder: string,
  { containerId }: Config,
  type: UnixSocketType,
  answer: (request: string) => Promise<string>,
): ReloadSocket {
  if (['', '.', '..'].includes(containerId) || /[/\0]/.test(containerId)) {
    throw new Error(`invalid ContainerID: ${quote(containerId)}`);
  }
  try {
    return new ReloadSocket(type, openOwnFolder(folder), containerId, answer);
  } catch (error) {
    throw new Error(callText(error, join(folder, containerId)), { cause: error });
  }
}

/** Podman 4 and later, which has ranges, speaks in packets; Podman 3 in a stream. */
function reloadSocketType(
  mappings: readonly Mapping[],
  fromSettings: UnixSocketType | undefined,
): UnixSocketType {
  if (fromSettings !== undefined) return fromSettings;
  const speaksStream = mappings.length > 0 && mappings.every(({ shape }) => shape === 'single');
  return speaksStream ? 'stream' : 'seqpacket';
}
