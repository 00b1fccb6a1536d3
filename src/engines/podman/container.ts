// container.ts: the published ports of one container, from a checked configuration to their end. It
// has no part of the process that it runs in, and the ports may be another's: several may run in
// one, and on one engine.

import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { NetnsReference, Stats } from '../../index.js';
import type { ForwarderOperations } from '../../operations.js';
import { bindFailure, netnsFailure } from '../../rootlesskit/failure-texts.js';
import { callText, quote } from '../../rootlesskit/go-text.js';
import { check } from '../../rootlesskit/ports.js';
import { targetRule } from '../../rootlesskit/target-rule.js';
import type { UnixSocketType } from '../../system.js';
import { containerOf, isDockers } from '../docker/docker-port.js';
import { addWithSettings } from './add-forwards.js';
import { expand, type Config, type Mapping } from './config.js';
import { oneLine } from './one-line.js';
import type { Notes } from './notes.js';
import { openOwnFolder } from './reload-socket.js';
import { reload } from './reload.js';
import type { HelperSettings } from './helper-settings.js';
import {
  thisProcess,
  type Closable,
  type ControlFacts,
  type Surroundings,
} from './surroundings.js';

/** What {@link Container.start} takes beside the configuration. */
export interface ContainerOptions {
  readonly settings: HelperSettings;
  /** Default: this process, with an engine of its own. */
  readonly surroundings?: Surroundings;
}

/** What {@link Container.adopt} takes beside the configuration. */
export interface AdoptionOptions {
  readonly settings: HelperSettings;
  readonly surroundings: Surroundings;
  /** With the forwards that run. */
  readonly forwarder: ForwarderOperations;
  readonly notes: Partial<Notes>;
}

/** The forwards of a container, and how they are reached. */
export class Container {
  readonly forwarder: ForwarderOperations;
  readonly #config: Config;
  readonly #settings: HelperSettings;
  readonly #surroundings: Surroundings;
  #containerAddress: string;
  #controlPath: string | undefined;
  #reloadSocket: Closable | undefined;
  #control: Closable | undefined;
  #watch: Closable | undefined;
  #isOpen = true;

  private constructor(config: Config, own: Omit<AdoptionOptions, 'notes'>) {
    this.#config = config;
    this.#settings = own.settings;
    this.#surroundings = own.surroundings;
    this.#containerAddress = config.containerAddress;
    this.forwarder = own.forwarder;
  }

  /**
   * Opens the ports, and the reload socket where the configuration asks for it. Nothing is left of
   * what failed.
   * @throws Error with the text for the caller
   */
  static async start(config: Config, options: ContainerOptions): Promise<Container> {
    const { settings, surroundings = thisProcess() } = options;
    const { log } = settings;
    if (!isDockers(config)) makeFolder(config, surroundings);
    const forwarder = surroundings.openForwarder({
      netns: netnsOf(config),
      // dockerd has a process for each port.
      ...(isDockers(config) && { workers: 1 }),
      ...settings.options,
    });
    const container = new Container(config, { settings, surroundings, forwarder });
    try {
      await container.#forwardAll();
      if (config.wantsReloadSocket) container.#openReloadSocket();
    } catch (error) {
      logFailure(log, error);
      await container.close();
      throw error;
    }
    const forwards = log === undefined ? [] : container.forwarder.list();
    log?.info(
      { event: 'ready', forwards },
      forwards.length === 1 ? '1 port is forwarded' : `${forwards.length} ports are forwarded`,
    );
    return container;
  }

  /** Goes on with one whose ports are open already. */
  static adopt(config: Config, { notes, ...options }: AdoptionOptions): Container {
    const container = new Container(config, options);
    container.#containerAddress = notes.containerAddress ?? config.containerAddress;
    container.#controlPath = notes.controlPath;
    container.#watch = options.settings.log?.watch(container.forwarder, 'from now on');
    return container;
  }

  /**
   * Lets the user see and steer it, and logs what happens. It is nothing to fail for: the
   * container's ports are open.
   */
  async show(): Promise<void> {
    this.#watch = this.#settings.log?.watch(this.forwarder);
    await this.#openControl();
  }

  /**
   * Lets the user see and steer it, where it was adopted from somebody who ended before he could do
   * that.
   */
  async showAgain(): Promise<void> {
    if (this.#controlPath === undefined) await this.#openControl();
  }

  async #openControl(): Promise<void> {
    if (!this.#settings.controlSocket) return;
    try {
      const control = await this.#surroundings.openControlSocket(
        this.forwarder,
        this.controlFacts(),
        (path) => {
          this.#controlPath = path;
          return this.notes();
        },
      );
      if (!this.#isOpen) {
        control.close();
        return;
      }
      this.#control = control;
    } catch (error) {
      this.#controlPath = undefined;
      // The caller listens no more: if "spliceport ls" does not show the helper, the log may say
      // why.
      this.tell(`there is no control socket: ${String(error)}`, 'no-control-socket');
    }
  }

  /** What its control socket tells. */
  controlFacts(): ControlFacts {
    const { containerId, folder } = this.#config;
    const surroundings = this.#surroundings;
    const own = isDockers(this.#config)
      ? { program: this.#config.program, container: containerOf(this.#config, surroundings.env) }
      : {
          program: 'rootlessport',
          ...(containerId !== '' && { container: { id: containerId } }),
          fallbackFolder: join(surroundings.pathFor(folder), 'spliceport'),
        };
    return {
      ...own,
      notices: this.#settings.notices,
      targetFor: (hostAddress) => targetRule(this.#containerAddress)(hostAddress),
    };
  }

  /** What whoever serves it next has to know. */
  notes(): Notes {
    const { controlSocket, logSettings: log, linger, notices } = this.#settings;
    return {
      containerAddress: this.#containerAddress,
      notices,
      controlSocket,
      ...(log !== undefined && { log }),
      ...(linger !== undefined && { linger }),
      ...(this.#controlPath !== undefined && { controlPath: this.#controlPath }),
    };
  }

  /** Tells the user of something that is wrong. */
  tell(problem: string, event: string): void {
    this.#settings.tell(problem, event);
    this.#keep();
  }

  /**
   * Leads the ports to another address of the container; all or nothing. The empty one stands for
   * its loopback.
   * @returns `OK`, or what failed.
   */
  reload(address: string): Promise<string> {
    return this.answer(JSON.stringify(address));
  }

  /** Carries out a request of Podman's; what to answer. Never fails. */
  async answer(request: string): Promise<string> {
    const reply = await reload(request, this.forwarder, (address) => {
      this.#containerAddress = address;
      this.#keep();
    });
    if (reply !== 'OK') this.#settings.log?.warn({ event: 'reload-refused' }, reply);
    return reply;
  }

  /**
   * Ends the forwards at once, and removes the sockets. In this process, all of it has happened
   * when it returns; may be called twice.
   */
  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watch?.close();
    this.#control?.close();
    this.#reloadSocket?.close();
    void this.forwarder.close();
    await logEnd(this.#settings.log, this.forwarder.stats());
  }

  #keep(): void {
    this.#surroundings.keep(this.notes());
  }

  /** Forwards every port. Of several failures, the one that Podman's order puts first is told. */
  async #forwardAll(): Promise<void> {
    const { mappings, containerAddress, netnsPath } = this.#config;
    const maxPorts = this.#surroundings.raiseFileLimit();
    const { ranges, failure } = check(expand(mappings), containerAddress, maxPorts);
    const specs = ranges.map(({ spec }) => spec);
    try {
      await addWithSettings(this.forwarder, specs, this.#settings);
      if (ranges.length === 0) await this.#surroundings.probeNetns(netnsPath);
    } catch (error) {
      const text = bindFailure(error, ranges) ?? failure ?? netnsFailure(error, netnsPath);
      throw text === undefined ? error : new Error(text, { cause: error });
    }
    if (failure !== undefined) throw new Error(failure);
  }

  #openReloadSocket(): void {
    const { containerId, folder: parent, mappings } = this.#config;
    const type = reloadSocketType(mappings, this.#settings.reloadSocket);
    if (['', '.', '..'].includes(containerId) || /[/\0]/.test(containerId)) {
      throw new Error(`invalid ContainerID: ${quote(containerId)}`);
    }
    const folder = join(parent, 'rp');
    const surroundings = this.#surroundings;
    try {
      const folderFd = openOwnFolder(surroundings.pathFor(folder), folder);
      const place = { type, folderFd, name: containerId };
      this.#reloadSocket = surroundings.openReloadSocket(place, (request) => this.answer(request));
    } catch (error) {
      throw new Error(callText(error, join(folder, containerId)), { cause: error });
    }
  }
}

/** Logs why there is no container. */
export function logFailure(log: HelperSettings['log'], error: unknown): void {
  log?.error({ event: 'failed' }, oneLine(error instanceof Error ? error.message : String(error)));
}

/** At once where the counters are known: at the end of a process nothing waits for them. */
async function logEnd(log: HelperSettings['log'], stats: Stats | Promise<Stats>): Promise<void> {
  const known = stats instanceof Promise ? await stats.catch(() => undefined) : stats;
  log?.info({ event: 'closed', ...(known !== undefined && { stats: known }) }, 'ended');
  log?.close();
}

/** Where its ports lead to. Without a path it is this side of the bridge. */
export function netnsOf({ netnsPath }: Config): NetnsReference {
  return netnsPath === '' ? 'own' : { path: netnsPath };
}

/**
 * The folder for reload sockets, which a user's helpers share. It is made whether there will be a
 * socket or not.
 */
function makeFolder({ folder: parent }: Config, surroundings: Surroundings): void {
  const folder = join(parent, 'rp');
  try {
    makePath(surroundings.pathFor(folder));
  } catch (error) {
    throw new Error(callText(error, folder), { cause: error });
  }
}

/**
 * As node's recursive mkdir, which never gives up in a folder such as /proc that takes no others.
 */
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

/** Podman 4 and later, which has ranges, speaks in packets; Podman 3 in a stream. */
function reloadSocketType(
  mappings: readonly Mapping[],
  fromSettings: UnixSocketType | undefined,
): UnixSocketType {
  if (fromSettings !== undefined) return fromSettings;
  const speaksStream = mappings.length > 0 && mappings.every(({ shape }) => shape === 'single');
  return speaksStream ? 'stream' : 'seqpacket';
}
