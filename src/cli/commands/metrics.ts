// metrics.ts: `spliceport metrics`.

import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { CliFailure, exitCodes } from '../failure.js';
import { EndRequests } from '../forward/end-requests.js';
import { KnownNames } from '../metrics/known-names.js';
import type { ListenAddress } from '../http/listen-address.js';
import { openMetricsServer } from '../metrics/metrics-server.js';
import { readMetrics } from '../metrics/text.js';
import { print, remark } from '../output.js';
import { containerNames } from '../running/container-names.js';
import { ServiceManager } from '../systemd/notify.js';

/** Options of `metrics`. */
export interface MetricsOptions {
  readonly listen?: ListenAddress;
  readonly output?: string;
}

/** Prints the metrics of all forwarders as one text, writes them to a file, or serves them. */
export async function showMetrics({ listen, output }: MetricsOptions): Promise<void> {
  if (listen !== undefined) {
    await serve(listen);
    return;
  }
  const { text, forwarders } = await readMetrics({ namesOf: containerNames, onSilent: skipped });
  // Run by a timer, it would fill the journal with this.
  if (forwarders === 0 && process.stdout.isTTY) remark('No forwarder of this user is running.');
  if (output === undefined) process.stdout.write(text);
  else replaceFile(output, text);
}

/** Serves until a signal comes. */
async function serve(at: ListenAddress): Promise<void> {
  using requests = new EndRequests();
  const names = new KnownNames();
  let silent = new Set<string>();
  const read = async (): Promise<string> => {
    const present = new Set<string>();
    const onSilent = (id: string, reason: string): void => {
      present.add(id);
      // Not again with every scrape.
      if (!silent.has(id)) skipped(id, reason);
    };
    const { text } = await readMetrics({ namesOf: names.of, onSilent });
    silent = present;
    return text;
  };
  await using server = await openMetricsServer(at, read);
  print(server.url);
  using service = new ServiceManager();
  service.ready(`Serving ${server.url}`);
  await requests.next();
  service.stopping();
}

function skipped(id: string, reason: string): void {
  remark(`Skipped forwarder ${id}: ${reason}`);
}

/** Those who read the file at any time see all of the old text or all of the new one. */
function replaceFile(file: string, text: string): void {
  const partial = `${file}.${process.pid}`;
  try {
    writeFileSync(partial, text);
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw new CliFailure(exitCodes.failed, `cannot write ${file}: ${(error as Error).message}`);
  }
}
