// units.ts: formats figures and addresses for people.

import { formatEndpoint } from '../../address.js';

export { count, formatBytes, formatDuration, formatRate } from '../../page/format.js';

/** {@link formatEndpoint}, but `*:80` for every address of both families. */
export function formatHost(host: {
  readonly address: string;
  readonly port: number;
  readonly dualStack?: boolean;
}): string {
  return host.dualStack === true ? `*:${host.port}` : formatEndpoint(host);
}
