// container-names.ts: the names of the containers whose ids forwarders know.

import { execFile } from 'node:child_process';
import { ENGINES, type Engine } from './engines.js';
import type { Running } from './forwarders.js';

/** People want a list at once, and it is useful without names. */
const TIMEOUT_MS = 3_000;

/** Names by id. */
export type ContainerNames = ReadonlyMap<string, string>;

/**
 * Asks podman, then docker about the rest. An engine that fails provides no names.
 * @param signal - Stops it early.
 */
export async function containerNames(
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<ContainerNames> {
  const names = new Map<string, string>();
  for (const engine of ENGINES) {
    const unnamed = ids.filter((id) => !names.has(id));
    if (unnamed.length === 0) break;
    for (const [id, name] of await ask(engine, unnamed, signal)) names.set(id, name);
  }
  return names;
}

/**
 * The ids of the forwarders' containers whose names they do not know themselves. Only real ids:
 * engines treat filters as patterns.
 */
export function idsIn(running: readonly Running[]): string[] {
  const ids = running.flatMap(({ info: { container: { id, name } = {} } }) =>
    id === undefined || name !== undefined ? [] : id,
  );
  return [...new Set(ids)].filter((id) => /^[0-9a-f]{12,64}$/.test(id));
}

function ask(
  engine: Engine,
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<[id: string, name: string][]> {
  const filters = ids.flatMap((id) => ['--filter', `id=${id}`]);
  const args = ['ps', '--all', '--no-trunc', ...filters, '--format', '{{.ID}} {{.Names}}'];
  const options = { timeout: TIMEOUT_MS, encoding: 'utf8', ...(signal && { signal }) } as const;
  return new Promise((resolve) => {
    execFile(engine, args, options, (_error, stdout) => {
      const lines = stdout.matchAll(/^(\S+) (\S+)$/gm);
      resolve(
        [...lines].flatMap(([, id = '', names = '']) => {
          // In addition to its own name, there may be names that other containers use, such as
          // db/web.
          const name = names.split(',').find((each) => !each.includes('/'));
          return name !== undefined && ids.includes(id) ? [[id, name]] : [];
        }),
      );
    });
  });
}
