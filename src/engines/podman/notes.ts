// notes.ts: what a resident notes of a container, for the one that serves it next. The rest is in
// the shim.

import type { LogSettings } from '../../log/log-types.js';
import type { Linger } from '../../settings/settings-types.js';

/** Notes on a container that runs. */
export interface Notes {
  /** Empty where Podman gives none. */
  readonly containerAddress: string;
  readonly notices: readonly string[];
  readonly log?: LogSettings;
  readonly linger?: Linger;
  /** False if there should be no control socket. */
  readonly controlSocket: boolean;
  /** The control socket, where there is one. */
  readonly controlPath?: string;
}

/** As bytes that {@link readNotes} reads. */
export function writeNotes(notes: Notes): Uint8Array {
  return Buffer.from(JSON.stringify(notes));
}

/** Notes of this or another version. What cannot be read is as if it were not there. */
export function readNotes(bytes: Uint8Array): Partial<Notes> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
