// control.ts: the control socket of `spliceport forward`.

import { openControlSocket } from '../../control/listen.js';
import type { ContainerInfo } from '../../control/types.js';
import type { Forwarder } from '../../index.js';
import type { Target } from '../running/target.js';

/** An open control socket. */
export interface Control extends Disposable {
  /** Undefined when it could not be opened. */
  readonly path: string | undefined;
  /** Settles when a caller has drained the forwarder. */
  readonly drained: Promise<void>;
  /** Tells callers of another container, and of what goes wrong with it. */
  show(container: ContainerInfo, notice?: string): void;
}

/** In place of one that is not wanted. */
export function withoutControl(): Control {
  return {
    path: undefined,
    drained: new Promise(() => undefined),
    show: () => undefined,
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
  // What callers are told is read anew for each call.
  const container = {
    ...(containerId !== undefined && { id: containerId }),
    ...(pid !== undefined && { pid }),
  };
  const notices: string[] = [];
  const show = (present: ContainerInfo, notice?: string): void => {
    Object.assign(container, present);
    notices.splice(0, notices.length, ...(notice === undefined ? [] : [notice]));
  };
  try {
    const socket = openControlSocket(forwarder, {
      program: 'spliceport forward',
      onDrained,
      notices,
      ...((pid ?? containerId) !== undefined && { container }),
    });
    return { path: socket.path, drained, show, [Symbol.dispose]: () => socket.close() };
  } catch (error) {
    onFailure(error instanceof Error ? error.message : String(error));
    return { ...withoutControl(), drained };
  }
}
