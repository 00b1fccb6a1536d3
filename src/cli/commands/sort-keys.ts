// sort-keys.ts: the columns that `spliceport top` sorts by.

/** In the order of the columns. */
export const sortKeys = [
  'id',
  'host',
  'to-container',
  'to-host',
  'open',
  'connects',
  'failed',
] as const;

export type SortKey = (typeof sortKeys)[number];
