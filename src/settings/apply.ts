// apply.ts: the settings in effect for a forwarder, and for each of its forwards.

import type { EngineOptions, ForwardSpec } from '../index.js';
import { engineFields } from '../spec/fields.js';
import { forwarderKeys, portsOf } from './keys.js';
import type {
  ForwarderSettings,
  ForwardSettings,
  Match,
  Settings,
  SettingsFile,
} from './settings-types.js';

/** What rules match against. A fact that is unknown (undefined) meets no condition. */
export interface Subject {
  readonly hostPort?: number | undefined;
  readonly protocol?: string | undefined;
  readonly containerId?: string | undefined;
}

/** Settings of a forwarder as a whole. */
export function forwarderSettings(
  file: SettingsFile,
  containerId: string | undefined,
): ForwarderSettings {
  const merged = settingsFor(file, { containerId });
  return Object.fromEntries(Object.entries(merged).filter(([key]) => forwarderKeys.includes(key)));
}

/** Those that a forwarder takes as its options. */
export function engineSettings(settings: ForwarderSettings): EngineOptions {
  return Object.fromEntries(Object.entries(settings).filter(([key]) => key in engineFields));
}

/** Settings of a forward. */
export function forwardSettings(file: SettingsFile, subject: Subject): ForwardSettings {
  const merged = Object.entries(settingsFor(file, subject));
  const own = new Map<string, unknown>(merged.filter(([key]) => !forwarderKeys.includes(key)));
  // Settings that apply to TCP and UDP may name what only TCP has.
  if (subject.protocol === 'udp' && own.get('sourceAddress') === 'proxy-v1') {
    own.delete('sourceAddress');
  }
  return Object.fromEntries(own);
}

/**
 * The specifications with their settings; a range is split where the settings of its ports differ.
 */
export function withSettings(
  file: SettingsFile,
  specs: readonly ForwardSpec[],
  containerId: string | undefined,
): ForwardSpec[] {
  const edges = edgesOf(file);
  return specs.flatMap((spec) =>
    cut(spec, edges).map((piece) => {
      const { protocol = 'tcp', host } = piece;
      const hostPort = host.port === 0 ? undefined : host.port;
      const own = forwardSettings(file, { hostPort, protocol, containerId });
      const { trustedProxies, ...rest } = { ...own, ...piece };
      // In the defaults, trustedProxies is there for rules that set acceptProxy.
      const isNeeded = rest.acceptProxy === true || piece.trustedProxies !== undefined;
      return { ...rest, ...(isNeeded && trustedProxies !== undefined && { trustedProxies }) };
    }),
  );
}

/** All settings of a subject. Later rules win; `log` is merged key by key. */
function settingsFor({ defaults = {}, rules = [] }: SettingsFile, subject: Subject): Settings {
  const matching = rules.filter(({ match }) => matches(match, subject)).map(({ set }) => set);
  return [defaults, ...matching].reduce<Settings>((before, next) => {
    const log = { ...before.log, ...next.log };
    return { ...before, ...next, ...(Object.keys(log).length > 0 && { log }) };
  }, {});
}

function matches({ hostPort, protocol, containerId }: Match, subject: Subject): boolean {
  if (protocol !== undefined && protocol !== subject.protocol) return false;
  if (containerId !== undefined && subject.containerId?.startsWith(containerId) !== true) {
    return false;
  }
  if (hostPort === undefined) return true;
  if (subject.hostPort === undefined) return false;
  const [first, last] = portsOf(hostPort);
  return first <= subject.hostPort && subject.hostPort <= last;
}

/** Ports at which the settings may change. */
function edgesOf({ rules = [] }: SettingsFile): number[] {
  const edges = rules.flatMap(({ match: { hostPort } }) => {
    if (hostPort === undefined) return [];
    const [first, last] = portsOf(hostPort);
    return [first, last + 1];
  });
  return [...new Set(edges)].sort((a, b) => a - b);
}

function cut(spec: ForwardSpec, edges: readonly number[]): ForwardSpec[] {
  const { host, container, count = 1 } = spec;
  const inside = edges.filter((edge) => host.port < edge && edge < host.port + count);
  // Ports that the kernel picks match no rule for a port.
  if (host.port === 0 || inside.length === 0) return [spec];
  const starts = [host.port, ...inside];
  return starts.map((start, index) => {
    const end = starts[index + 1] ?? host.port + count;
    return {
      ...spec,
      host: { ...host, port: start },
      container: { ...container, port: container.port + start - host.port },
      count: end - start,
    };
  });
}
