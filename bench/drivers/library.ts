// library.ts: spliceport by its public API, to compare settings:
// `library,nearRttMicros=0,workers=1`, or `library,sourceAddress=proxy-v2`.

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../lab.js';
import { Process } from '../process.js';
import type { Driver, ForwardRequest } from '../types.js';
import { originOf, revisionOf } from './rootlessport.js';
import { awaitReady, type DriverSpec, type Launch, protocolsOf } from './running.js';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const PROGRAM = join(PROJECT, 'bench/drivers/library-program.mjs');

function settingsOf(lab: Lab, request: ForwardRequest, spec: DriverSpec): string {
  const { sourceAddress, ...settings } = spec.settings;
  const options = Object.entries(settings).map(([name, value]) => [name, Number(value)] as const);
  return JSON.stringify({
    options: { ...Object.fromEntries(options), netns: { path: lab.container.netns } },
    forwards: protocolsOf(request).map((protocol) => ({
      protocol,
      host: { address: request.hostAddress, port: request.hostPort },
      container: { port: request.containerPort },
      count: request.count,
      ...(sourceAddress !== undefined && { sourceAddress }),
    })),
  });
}

/**
 * Its settings are ForwarderOptions, and the sourceAddress of its forwards; its folder is a
 * compiled library (`lib` of another build).
 */
export function library(spec: DriverSpec): Driver {
  const folder = resolve(spec.path ?? join(PROJECT, 'lib'));
  return {
    label: spec.label,
    kind: 'spliceport',
    protocols: ['tcp', 'udp'],
    ranges: true,
    both: true,
    reloads: false,
    missing: () =>
      existsSync(join(folder, 'index.js')) ? undefined : `${folder} is not built: npm run build`,
    version: () => revisionOf(folder),
    origin: () => originOf(spec),
    start: async (lab, request) => {
      const command = [process.execPath, PROGRAM, folder, settingsOf(lab, request, spec)];
      const process_ = new Process(command, { stdio: ['pipe', 'pipe', 'pipe'] });
      const { stdin, stdout } = process_.child;
      if (stdin === null || stdout === null) throw new TypeError('Expected pipes');
      const running = await awaitReady(request, (): Launch => {
        return { process: process_, ready: once(stdout, 'data'), ask: () => stdin.end() };
      });
      return {
        ...running,
        stop: async () => {
          await running.stop();
          if (process_.child.exitCode === 3) throw new Error('clients went the ordinary way');
        },
      };
    },
  };
}
