// forwarder-fields.ts: the settings of a forwarder that only settings files have. Those of its engine are in spec/fields.ts.

import type { AnyFields } from '../spec/fields.js';

/** Settings of a forwarder as a whole, beside those of its engine. */
export const forwarderFields = {
  controlSocket: {
    type: 'flag',
    default: true,
    text: 'Whether there is a control socket, which `spliceport ls` and the other commands need.',
    see: 'control-api.md',
  },
  reloadSocket: {
    type: 'choice',
    values: ['seqpacket', 'stream'],
    defaultText: "as the caller's Podman needs it",
    text: 'Type of the socket that Podman reloads through.',
  },
} as const satisfies AnyFields;
