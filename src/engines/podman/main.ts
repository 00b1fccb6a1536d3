// main.ts: the helper that Podman starts for a container with published ports. It reads a configuration, forwards the
// ports, says that it is ready, and lives until its caller lets go of it. The order of the steps is Podman's contract.

import { fail, outlive } from './last-words.js';
import { decodeConfig, type Config } from './config.js';
import { Container, logFailure } from './container.js';
import { isPassed, onEnd, releaseOutput, signalReady, takeInheritedFds } from './descriptors.js';
import { helperSettings, type HelperSettings } from './settings.js';
import { readAll } from './streams.js';

// The bundles that are loaded later have no library of their own.
export * from '../../index.js';
export * from '../../system.js';
export * from '../../unix-listener.js';

async function run(): Promise<void> {
  const inherited = takeInheritedFds();
  const config = decodeConfig(readAll(0));
  checkConfig(config, inherited);
  const settings = await helperSettings(config.containerId);
  const container = await startContainer(config, settings);
  const { log } = settings;
  releaseOutput(log?.rawFd);
  signalReady(config.readyFd);
  outlive((problem) => settings.tell(problem, 'fault'));
  log?.leaveStandardError();
  await container.show();
}

/** From here on the end of the process is the end of the container. */
async function startContainer(config: Config, settings: HelperSettings): Promise<Container> {
  const stop = () => process.exit(0);
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', stop);
  // By default it lets every user of this machine run code in this process: Node's inspector asks nobody who he is.
  process.on('SIGUSR1', () => undefined);
  const container = await Container.start(config, { settings });
  process.on('exit', () => container.close());
  try {
    onEnd(config.exitFd, stop);
  } catch (error) {
    logFailure(settings.log, error);
    throw error;
  }
  return container;
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

run().catch(fail);
