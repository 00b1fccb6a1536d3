// specs.ts: the forwards that a command line asks for. Port specifications may have the shorter
// forms that people type after the -p of a container engine. The library and the control API accept
// only the whole form.

import { parsePortSpec, type ForwardSpec } from '../../index.js';
import { usageFailure } from '../failure.js';
import { isByName, specsByName, type PassedSocket } from '../systemd/sockets.js';
import type { ForwardSpecOptions } from './forward-options.js';

/**
 * Reads all of them before anything is done.
 * @throws CliFailure
 */
export function specsFrom(
  words: readonly string[],
  options: ForwardSpecOptions,
  sockets: readonly PassedSocket[] = [],
): ForwardSpec[] {
  const { publish = [], sourceAddress, acceptProxy = false, trustedProxy } = options;
  const { maxSessions, maxRate, maxPerClient, allow, deny, waitForServer } = options;
  const texts = [...words, ...publish];
  if (texts.length === 0) throw usageFailure("missing required argument 'spec'", hint);
  const parsed = texts.flatMap((text) => parseWord(text, sockets).map((spec) => ({ text, spec })));
  const specs = parsed.map(({ spec }) => spec);
  assertDistinct(
    parsed.map(({ text }) => text),
    specs,
  );
  if (acceptProxy !== (trustedProxy !== undefined)) {
    throw usageFailure(
      '--accept-proxy and --trusted-proxy require each other',
      'A trusted client can claim any address: list only your load balancers.',
    );
  }
  return specs.map((spec) => ({
    ...spec,
    ...(sourceAddress !== undefined && { sourceAddress }),
    ...(trustedProxy !== undefined && { acceptProxy, trustedProxies: trustedProxy }),
    ...(maxSessions !== undefined && { maxSessions }),
    ...(maxRate !== undefined && { maxSessionsPerSecond: maxRate }),
    ...(maxPerClient !== undefined && { maxSessionsPerClient: maxPerClient }),
    ...(allow !== undefined && { allow }),
    ...(deny !== undefined && { deny }),
    ...(waitForServer !== undefined && { waitForServerMs: Math.round(waitForServer * 1_000) }),
  }));
}

const hint = 'See "spliceport forward --help" for examples.';

function parseWord(text: string, sockets: readonly PassedSocket[]): ForwardSpec[] {
  if (!isByName(text)) return [guarded(text, () => parsePortSpec(withHostPort(text)))];
  return guarded(text, () => specsByName(text, sockets));
}

/** Runs a parser of the text; its error becomes a usage error that shows the text. */
function guarded<T>(text: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const [, problem] = / of type string: (.*)$/s.exec((error as Error).message) ?? [];
    if (problem === undefined) throw error;
    const given = JSON.stringify(text);
    throw usageFailure(problem.startsWith(given) ? problem : `${given}: ${problem}`, hint);
  }
}

/** Without a host port, the kernel picks one: `80`, `:80` and `127.0.0.1::80`. */
function withHostPort(text: string): string {
  if (/^:?\d+(-\d+)?(\/\w*)?$/.test(text)) return `0:${text.replace(/^:/, '')}`;
  return text.replace(/^(\[[^\]]*\]|[\d.]+)::(?=\d)/, '$1:0:');
}

/** The same port twice would fail as a port that is in use by another program. */
function assertDistinct(texts: readonly string[], specs: readonly ForwardSpec[]): void {
  const textOf = new Map<string, string>();
  for (const [index, { protocol = 'tcp', host, count = 1 }] of specs.entries()) {
    if (host.port === 0) continue;
    const text = texts[index] ?? '';
    for (let port = host.port; port < host.port + count; port += 1) {
      const key = `${protocol} ${host.address ?? ''} ${port}`;
      const other = textOf.get(key);
      if (other !== undefined) {
        throw usageFailure(`${protocol} port ${port} is given twice: ${other} and ${text}`);
      }
      textOf.set(key, text);
    }
  }
}
