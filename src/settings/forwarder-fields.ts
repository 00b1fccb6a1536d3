// forwarder-fields.ts: the settings of a forwarder that only settings files have. Those of its
// engine are in spec/fields.ts.

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
  process: {
    type: 'choice',
    values: ['shim', 'own'],
    default: 'shim',
    text: "What decides for the container: one process for all of this user's containers, which is there while it is needed, or a Node process of its own.",
    see: 'settings.md#processes',
  },
  residentLingerSeconds: {
    type: 'integer or word',
    min: 0,
    max: 86_400,
    word: 'always',
    default: 300,
    unit: 's',
    text: 'How long the process that decides for the containers stays when there is nothing left to decide. Where containers differ, the longest holds.',
    see: 'settings.md#processes',
  },
} as const satisfies AnyFields;
