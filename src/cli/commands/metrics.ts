// metrics.ts: `spliceport metrics`.

import { containerNames, idsIn } from '../running/container-names.js';
import { print, remark } from '../output.js';
import { findRunning } from '../running/forwarders.js';

/** The lines about one metric. */
interface Family {
  readonly about: readonly string[];
  readonly samples: string[];
}

/** Prints the metrics of all forwarders as one text, each with the name of its container. */
export async function showMetrics(): Promise<void> {
  const running = await findRunning();
  // Run by a timer, it would fill the journal with this.
  if (running.length === 0 && process.stdout.isTTY) remark('No forwarder of this user is running.');
  const [names, texts] = await Promise.all([
    containerNames(idsIn(running)),
    Promise.all(running.map(({ client }) => client.metrics())),
  ]);
  const families = new Map<string, Family>();
  running.forEach(({ info }, index) => {
    const name = names.get(info.container?.id ?? '');
    gather(families, texts[index] ?? '', name === undefined ? '' : `container_name="${name}",`);
  });
  for (const { about, samples } of families.values()) {
    for (const line of [...about, ...samples]) print(line);
  }
}

/**
 * Groups the samples of a text by metric: a text may have only one block per metric, with one HELP
 * and one TYPE.
 * @param label - Inserted before the labels of each sample, which all have some.
 */
function gather(families: Map<string, Family>, text: string, label: string): void {
  for (const block of text.split(/^(?=# HELP )/m)) {
    const lines = block.split('\n').filter((line) => line !== '');
    const about = lines.filter((line) => line.startsWith('#'));
    const name = about[0]?.split(' ')[2];
    if (name === undefined) continue;
    const family = families.get(name) ?? { about, samples: [] };
    families.set(name, family);
    const samples = lines.filter((line) => !line.startsWith('#'));
    family.samples.push(...samples.map((line) => line.replace('{', `{${label}`)));
  }
}
