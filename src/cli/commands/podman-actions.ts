// podman-actions.ts: the arguments of `spliceport podman`.

/** Actions. */
export const podmanActions = ['show', 'path', 'enable', 'disable'] as const;

/** Options of `podman`. */
export interface PodmanOptions {
  readonly json?: boolean;
}
