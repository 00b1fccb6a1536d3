// main.ts: the helper that Podman starts for a container with published ports. It reads a configuration, forwards the
// ports, says that it is ready, and lives until its caller lets go of it. The order of the steps is Podman's contract.

import { fail, oneLine, outlive } from './last-words.js';
import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Forwarder } from '../../index.js';
import { probeNetns, raiseFileLimit, type UnixSocketType } from '../../system.js';
import { addWithSettings } from './add-forwards.js';
import { decodeConfig, expand, type Config, type Mapping } from './config.js';
import { isPassed, onEnd, releaseOutput, signalReady, takeInheritedFds } from './descriptors.js';
import { callText, quote } from '../../rootlesskit/go-text.js';
import { bindFailure, netnsFailure } from '../../rootlesskit/failures.js';
import { check } from '../../rootlesskit/ports.js';
import { openOwnFolder, ReloadSocket } from './reload-socket.js';
import { reload } from './reload.js';
import { helperSettings, type HelperSettings } from './settings.js';
import { readAll } from './streams.js';
import { targetRule } from '../../rootlesskit/target-rule.js';

// The bundles that are loaded later have no library of their own.
export * from '../../index.js';
export * from '../../system.js';
export * from '../../unix-listener.js';

async function run(): Promise<void> {
  const inherited = takeInheritedFds();
  const config = decodeConfig(readAll(0));
  checkConfig(config, inherited);
  const folder = makeFolder(config.folder);

  const settings = await helperSettings(config.containerId);
  const { log } = settings;
  try {
    await serve(config, folder, settings);
  } catch (error) {
    log?.error(
      { event: 'failed' },
      oneLine(error instanceof Error ? error.message : String(error)),
    );
    throw error;
  }
}

/** Forwards, says that it is ready, and returns when all that comes later is arranged. */
async function serve(config: Config, folder: string, settings: HelperSettings): Promise<void> {
  const { log } = settings;
  const forwarder = new Forwarder({ netns: { path: config.netnsPath }, ...settings.options });
  let reloadSocket: ReloadSocket | undefined;
  let watch: { close(): void } | undefined = undefined;
  process.on('exit', () => {
    watch?.close();
    reloadSocket?.close();
    void forwarder.close();
    log?.info({ event: 'closed', stats: forwarder.stats() }, 'ended');
  });
  const stop = () => process.exit(0);
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', stop);
  // By default it lets every user of this machine run code in this process: Node's inspector asks nobody who he is.
  process.on('SIGUSR1', () => undefined);

  await forwardAll(forwarder, config, settings);
  onEnd(config.exitFd, stop);
  let { containerAddress } = config;
  if (config.wantsReloadSocket) {
    const type = reloadSocketType(config.mappings, settings.reloadSocket);
    reloadSocket = openReloadSocket(folder, config, type, async (request) => {
      const reply = await reload(request, forwarder, (address) => (containerAddress = address));
      if (reply !== 'OK') log?.warn({ event: 'reload-refused' }, reply);
      return reply;
    });
  }
  const forwards = log === undefined ? [] : forwarder.list();
  log?.info(
    { event: 'ready', forwards },
    forwards.length === 1 ? '1 port is forwarded' : `${forwards.length} ports are forwarded`,
  );
  releaseOutput(log?.rawFd);
  signalReady(config.readyFd);
  outlive((problem) => settings.tell(problem, 'fault'));
  log?.leaveStandardError();
  watch = log?.watch(forwarder);
  if (!settings.controlSocket) return;
  await openControl(forwarder, config, settings, (hostAddress) =>
    targetRule(containerAddress)(hostAddress),
  );
}

/** Lets the user see and steer the helper. It is nothing to fail for: the container's ports are open. */
async function openControl(
  forwarder: Forwarder,
  { containerId, folder }: Config,
  { notices, tell }: Pick<HelperSettings, 'notices' | 'tell'>,
  targetFor: (hostAddress: string) => string,
): Promise<void> {
  try {
    const { openControlSocket } = await import('../../control/listen.js');
    openControlSocket(forwarder, {
      program: 'rootlessport',
      ...(containerId !== '' && { container: { id: containerId } }),
      fallbackFolder: join(folder, 'spliceport'),
      notices,
      targetFor,
    });
  } catch (error) {
    // The caller listens no more: whom "spliceport ls" does not show the helper, the log may tell why.
    tell(`there is no control socket: ${String(error)}`, 'no-control-socket');
  }
}

function checkConfig(config: Config, inherited: ReadonlySet<number> | undefined): void {
  const { netnsPath, exitFd, readyFd } = config;
  if (netnsPath === '') throw new Error('missing NetNSPath');
  if (exitFd <= 0) throw new Error('missing ExitFD');
  if (!isPassed(exitFd, inherited)) throw new Error('invalid ExitFD');
  if (readyFd <= 0) throw new Error('missing ReadyFD');
  if (!isPassed(readyFd, inherited)) throw new Error('invalid ReadyFD');
  // No call takes such a path, so none can refuse it.
  if (netnsPath.includes('\0')) throw new Error(`open ${netnsPath}: invalid argument`);
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

run().catch(fail);
