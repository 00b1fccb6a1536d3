// control-socket.ts: the control socket of `spliceport forward`.

import { openControlSocket } from '../../control/listen.js';
import type { ContainerInfo } from '../../control/control-types.js';
import type { Forwarder } from '../../index.js';
import type { Target } from '../running/target.js';

/** An open control socket. */
export interface Control extends Disposable {
  /** Undefined if it could not be opened. */
  readonly path: string | undefined;
  /** Resolves when a caller has drained the forwarder. */
  readonly drained: Promise<void>;
  /** Updates what callers are shown: another container, and problems with it. */
  show(container: ContainerInfo, notice?: string): void;
}

/** The substitute if there should be none. */
export function withoutControl(): Control {
  return {
    path: undefined,
    drained: new Promise(() => undefined),
    show: () => undefined,
    [Symbol.dispose]: () => undefined,
  };
}

/**
 * Opens it. If that fails, the forwarder works without it.
 * @param onFailure - Called with the reason.
 */
export function openControl(
  forwarder: Forwarder,
  { pid, containerId }: Target,
  onFailure: (reason: string) => void,
): Control {
  let onDrained!: () => void;
  const drained = new Promise<void>((resolve) => (onDrained = resolve));
  // Callers see the present values: each call reads them again.
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
