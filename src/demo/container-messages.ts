// container-messages.ts: messages from the demo's container to the demo.

/** Where the server in the container listens. */
export const CONTAINER_PORT = 80;

/** Requested many times, or large: not printed one by one. */
export const PING_PATH = '/ping';
export const BULK_PATH = '/bytes/';
export const quietPaths: readonly string[] = [PING_PATH, BULK_PATH];

/** Sent by the container's process. */
export type ContainerMessage =
  | { readonly kind: 'listening'; readonly netns: string }
  | {
      readonly kind: 'request';
      /** Method and path. */
      readonly line: string;
      /** The client's address, as the server sees it. */
      readonly client: string;
      readonly agent: string;
    };
