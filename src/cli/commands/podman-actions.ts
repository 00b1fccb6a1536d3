// podman-actions.ts: what `spliceport podman` takes.

/** What can be done about Podman. */
export const podmanActions = ['show', 'path', 'enable', 'disable'] as const;

/** Options of `podman`. */
export interface PodmanOptions {
  readonly json?: boolean;
}
