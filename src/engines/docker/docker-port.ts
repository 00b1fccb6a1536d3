// docker-port.ts: the port of a proxy of dockerd's, which comes in the form of Podman's
// configurations.

import type { ContainerInfo } from '../../control/control-types.js';
import type { Config } from '../podman/config.js';
import { containersOf, type DockerPort } from './docker-containers.js';

const PROGRAM = 'docker-proxy';

/** Whether dockerd has started the process that has it. */
export function isDockers(config: Config): config is Config & { readonly program: string } {
  return config.program === PROGRAM;
}

/**
 * With the id of its container, if that can be told.
 * @param environment - Of the process that has the port.
 * @param isReady - Whether dockerd has been told that the port is forwarded.
 */
export function withContainerId(
  config: Config,
  environment: NodeJS.ProcessEnv,
  isReady: boolean,
): Config {
  const port = portOf(config);
  if (port === undefined) return config;
  const containers = containersOf(environment);
  // With live-restore the container runs already when its proxy starts.
  const found = containers.find(port) ?? (isReady ? undefined : containers.findStarting(port));
  return { ...config, containerId: found?.id ?? '' };
}

/**
 * What is known of its container, looked up whenever it is read: dockerd writes it after the start,
 * and a container can be renamed.
 */
export function containerOf(config: Config, environment: NodeJS.ProcessEnv): ContainerInfo {
  const port = portOf(config);
  const find = () => port && containersOf(environment).find(port);
  return {
    get id() {
      return find()?.id;
    },
    get name() {
      return find()?.name;
    },
  } as ContainerInfo;
}

function portOf({ mappings: [mapping], containerAddress }: Config): DockerPort | undefined {
  if (mapping === undefined) return undefined;
  const { protocols, hostPort, containerPort } = mapping;
  const protocol = protocols.startsWith('udp') ? 'udp' : 'tcp';
  return { protocol, hostPort, containerAddress, containerPort };
}
