// control.ts: the control socket of `spliceport forward`.

import { openControlSocket } from '../api/listen.js';
import type { Forwarder } from '../index.js';
import type { Target } from './target.js';

/** An open control socket. */
export interface Control extends Disposable {
  /** Undefined when it could not be opened. */
  readonly path: string | undefined;
  /** Settles when a caller has drained the forwarder. */
  readonly drained: Promise<void>;
}

/** In place of one that is not wanted. */
export function withoutControl(): Control {
  return {
    path: undefined,
    drained: new Promise(() => undefined),
    [Symbol.dispose]: () => undefined,
  };
}

/**
 * Opens it. A forwarder works without one, too.
 * @param onFailure - Told why there is none.
 */
export function openControl(
  forwarder: Forwarder,
  { pid, containerId }: Target,
  onFailure: (reason: string) => void,
): Control {
  let onDrained!: () => void;
  const drained = new Promise<void>((resolve) => (onDrained = resolve));
  const container = {
    ...(containerId !== undefined && { id: containerId }),
    ...(pid !== undefined && { pid }),
  };
  try {
    const socket = openControlSocket(forwarder, {
      program: 'spliceport forward',
      onDrained,
      ...((pid ?? containerId) !== undefined && { container }),
    });
    return { path: socket.path, drained, [Symbol.dispose]: () => socket.close() };
  } catch (error) {
    onFailure(error instanceof Error ? error.message : String(error));
    return { path: undefined, drained, [Symbol.dispose]: () => undefined };
  }
}
