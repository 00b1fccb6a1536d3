// served-container.ts: one shim and its container, from the shim's first message to the end of the
// connection.

import { openSync } from 'node:fs';
import { join } from 'node:path';
import { refuse } from '../control/refusal.js';
import { isDockers, withContainerId } from '../engines/docker/docker-port.js';
import { checkConfig } from '../engines/podman/check-config.js';
import { decodeConfig, type Config } from '../engines/podman/config.js';
import { Container, logFailure, netnsOf } from '../engines/podman/container.js';
import { readNotes, writeNotes } from '../engines/podman/notes.js';
import { lastWords } from '../engines/podman/one-line.js';
import { replyOf } from '../engines/podman/reload-socket.js';
import {
  helperSettings,
  notedSettings,
  type HelperSettings,
} from '../engines/podman/helper-settings.js';
import { callText } from '../rootlesskit/go-text.js';
import { SpliceportSystemError } from '../index.js';
import type { Hello } from '../remote/messages.js';
import {
  fail,
  keepBlob,
  keepResident,
  ready,
  replyToReload,
  useOwnProcess,
} from '../remote/sections.js';
import { RequestError, type Shim } from '../remote/shim.js';
import { replaceFd } from '../system.js';
import type { Linger } from '../settings/settings-types.js';
import type { Starts } from './starts.js';
import { ThroughShim } from './through-shim.js';

/** A container that this process decides for. */
export class ServedContainer {
  readonly #shim: Shim;
  readonly #surroundings: ThroughShim;
  readonly #hello: Hello;
  readonly #starts: Starts;
  #settings: HelperSettings | undefined;
  #container: Container | undefined;
  /** Of the requests that have come, one after the other; the start is the first. */
  #last = Promise.resolve();
  #underWay = 0;
  /** Why there is no container. */
  #reason = 'it has only just started';

  constructor(shim: Shim, hello: Hello, starts: Starts) {
    this.#shim = shim;
    this.#starts = starts;
    this.#hello = hello;
    this.#surroundings = new ThroughShim(shim, hello);
  }

  /** Starts it, or goes on with it. */
  begin(): Promise<void> {
    const isReady = this.#hello.state !== undefined;
    const begun = isReady ? this.#adopt() : this.#start();
    this.#last = this.#during(begun).catch((error: unknown) => {
      this.#reason = lastWords(error);
    });
    return this.#last;
  }

  /** Whether somebody waits for it. */
  get isBusy(): boolean {
    return this.#underWay > 0 || this.#surroundings.isBusy;
  }

  /** Whether it has a log that has to be written. */
  get isLogged(): boolean {
    return this.#settings?.log?.staysOpen === true;
  }

  /** What its settings say; undefined when they say nothing. */
  get linger(): Linger | undefined {
    return this.#settings?.linger;
  }

  /** Tells its user of something that is wrong. */
  tell(problem: string): void {
    this.#container?.tell(problem, 'fault');
  }

  /** Carries out a request of Podman's. */
  reload(client: number, request: Buffer): void {
    this.#last = this.#during(this.#last.then(() => this.#reload(client, request.toString())));
  }

  /** Serves a client of the control socket. @param fd - Taken over. */
  control(fd: number): void {
    void this.#during(this.#last.then(() => this.#control(fd)));
  }

  /** The shim has ended. */
  async end(): Promise<void> {
    await this.#last;
    await this.#container?.close();
  }

  async #during(work: Promise<void>): Promise<void> {
    this.#underWay += 1;
    try {
      await work;
    } finally {
      this.#underWay -= 1;
    }
  }

  async #start(): Promise<void> {
    try {
      const { inheritedFds } = this.#hello;
      const config = this.#readConfig();
      checkConfig(config, (fd) => inheritedFds.includes(fd));
      const settings = await helperSettings(config.containerId, this.#surroundings);
      this.#settings = settings;
      if (settings.wantsOwnProcess === true && !isDockers(config)) {
        await this.#shim.request([useOwnProcess()]);
        return;
      }
      const surroundings = this.#surroundings;
      const container = await Container.start(config, { settings, surroundings });
      await this.#makeReady(config, container, settings);
      this.#container = container;
      void this.#during(this.#show(() => container.show()));
    } catch (error) {
      this.#settings?.log?.close();
      this.#shim.request([fail(lastWords(error))]).catch(() => undefined);
    }
  }

  async #makeReady(config: Config, container: Container, settings: HelperSettings): Promise<void> {
    const { exitFd, readyFd, folder, containerId } = config;
    const reload = this.#surroundings.takeReload();
    const sections = [
      ...reload,
      // Until its control socket is there, too: whoever ends meanwhile leaves that to the next one.
      keepResident(true),
      keepBlob(writeNotes(container.notes())),
      ready(exitFd, readyFd, copyOf(settings.log?.rawFd)),
    ];
    try {
      await this.#shim.request(sections);
    } catch (error) {
      const reloadPath = reload.length > 0 ? join(folder, 'rp', containerId) : undefined;
      const explained = explain(error, sections.length - 1, reloadPath);
      logFailure(settings.log, explained);
      await container.close();
      throw explained;
    }
    this.#surroundings.setReady();
    settings.log?.leaveStandardError();
  }

  async #adopt(): Promise<void> {
    const { state } = this.#hello;
    const config = this.#readConfig();
    const notes = { ...readNotes(state?.blob ?? Buffer.alloc(0)), ...state?.ownNotes };
    const surroundings = this.#surroundings;
    surroundings.controlPath = notes.controlPath;
    const settings = await notedSettings(config.containerId, notes, surroundings);
    this.#settings = settings;
    const forwarder = surroundings.openForwarder({ netns: netnsOf(config), ...settings.options });
    const container = Container.adopt(config, { settings, surroundings, forwarder, notes });
    this.#container = container;
    void this.#during(this.#show(() => container.showAgain()));
  }

  #readConfig(): Config {
    const { configuration, environment, state } = this.#hello;
    const config = decodeConfig(configuration);
    if (!isDockers(config)) return config;
    this.#surroundings.program = config.program;
    return withContainerId(config, environment, state !== undefined);
  }

  /** Waits for what shows the container; from then on a resident is needed for a log alone. */
  async #show(show: () => Promise<void>): Promise<void> {
    await this.#starts.over();
    await show();
    if (!this.isLogged) await this.#shim.request([keepResident(false)]).catch(() => undefined);
  }

  async #reload(client: number, request: string): Promise<void> {
    const failure = `rootless port failed to add port: ${this.#reason}`;
    const reply = replyOf((await this.#container?.answer(request)) ?? failure);
    await this.#shim.request([replyToReload(client, reply)]).catch(() => undefined);
  }

  async #control(fd: number): Promise<void> {
    const container = this.#container;
    const { controlPath: socketPath } = this.#surroundings;
    if (container === undefined || socketPath === undefined) {
      refuse(fd, '503 Service Unavailable', `the container cannot be served: ${this.#reason}`);
      return;
    }
    const { forwarder } = container;
    const facts = container.controlFacts();
    await this.#surroundings.serveControl(fd, { ...facts, forwarder, socketPath });
  }
}

/** Why a container is not ready. */
function explain(error: unknown, lastSection: number, reloadPath: string | undefined): unknown {
  if (!(error instanceof RequestError)) return error;
  const { failure } = error;
  const cause = new SpliceportSystemError(failure);
  if (failure.section === lastSection) {
    return new Error(`cannot watch ExitFD: ${cause.message}`, { cause });
  }
  return reloadPath === undefined ? cause : new Error(callText(cause, reloadPath), { cause });
}

/** What is sent is closed. */
function copyOf(fd: number | undefined): number | undefined {
  if (fd === undefined) return undefined;
  const copy = openSync('/dev/null', 'r');
  replaceFd(fd, copy);
  return copy;
}
