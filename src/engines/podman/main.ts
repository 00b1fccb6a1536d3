// main.ts: the helper that Podman starts for a container with published ports. It reads a
// configuration, forwards the ports, says that it is ready, and lives until its caller lets go of
// it. The order of the steps is Podman's contract.

import { fail, outlive } from './last-words.js';
import { decodeConfig, type Config } from './config.js';
import { checkConfig } from './check-config.js';
import { Container, logFailure } from './container.js';
import { isPassed, onEnd, releaseOutput, signalReady, takeInheritedFds } from './descriptors.js';
import { helperSettings, type HelperSettings } from './helper-settings.js';
import { readAll } from './streams.js';
import { thisProcess, type Surroundings } from './surroundings.js';

// The bundles that are loaded later have no library of their own.
export * from '../../index.js';
export * from '../../system.js';
export * from '../../unix-listener.js';

async function run(): Promise<void> {
  const inherited = takeInheritedFds();
  const config = decodeConfig(readAll(0));
  checkConfig(config, (fd) => isPassed(fd, inherited));
  const surroundings = thisProcess();
  const settings = await helperSettings(config.containerId, surroundings);
  const container = await startContainer(config, settings, surroundings);
  const { log } = settings;
  releaseOutput(log?.rawFd);
  signalReady(config.readyFd);
  outlive((problem) => settings.tell(problem, 'fault'));
  log?.leaveStandardError();
  await container.show();
}

/** From here on the end of the process is the end of the container. */
async function startContainer(
  config: Config,
  settings: HelperSettings,
  surroundings: Surroundings,
): Promise<Container> {
  const stop = () => process.exit(0);
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', stop);
  // By default it lets every user of this machine run code in this process: Node's inspector asks
  // nobody who he is.
  process.on('SIGUSR1', () => undefined);
  const container = await Container.start(config, { settings, surroundings });
  process.on('exit', () => void container.close());
  try {
    onEnd(config.exitFd, stop);
  } catch (error) {
    logFailure(settings.log, error);
    throw error;
  }
  return container;
}

run().catch(fail);
