// text.ts: the metrics of all forwarders of this user as one text.

import type { ContainerNames } from '../running/container-names.js';
import { idsIn } from '../running/container-names.js';
import { findRunning, type Running } from '../running/forwarders.js';

/** The lines about one metric. */
interface Family {
  readonly about: readonly string[];
  readonly samples: string[];
}

/** What a text is made with. */
export interface TextOptions {
  /** Looks up names of containers by their ids. */
  readonly namesOf: (ids: readonly string[]) => Promise<ContainerNames>;
  /** Called for each forwarder that does not answer and is left out. */
  readonly onSilent: (id: string, reason: string) => void;
}

/** The text, and how many forwarders it is about. */
export interface MetricsText {
  readonly text: string;
  readonly forwarders: number;
}

/** Asks every forwarder. One that does not answer is left out; the others are of use without it. */
export async function readMetrics({ namesOf, onSilent }: TextOptions): Promise<MetricsText> {
  const running = await findRunning(onSilent);
  const [names, texts] = await Promise.all([
    namesOf(idsIn(running)),
    Promise.all(running.map((forwarder) => textOf(forwarder, onSilent))),
  ]);
  const families = new Map<string, Family>();
  running.forEach(({ info }, index) => {
    const name = info.container?.name ?? names.get(info.container?.id ?? '');
    gather(families, texts[index] ?? '', name === undefined ? '' : `container_name="${name}",`);
  });
  const lines = [...families.values()].flatMap(({ about, samples }) => [...about, ...samples]);
  return { text: lines.map((line) => `${line}\n`).join(''), forwarders: running.length };
}

async function textOf({ id, client }: Running, onSilent: TextOptions['onSilent']): Promise<string> {
  try {
    return await client.metrics();
  } catch (error) {
    onSilent(id, (error as Error).message);
    return '';
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
