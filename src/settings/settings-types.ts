// settings-types.ts: what a settings file says, once it has been checked.

import type { ForwarderOptions, ForwardSpec, Protocol } from '../index.js';
import type { LogSettings } from '../log/log-types.js';
import type { engineFields, forwardFields, SomeOf } from '../spec/fields.js';
import type { forwarderFields } from './forwarder-fields.js';

/** What concerns a forwarder as a whole. */
export type ForwarderSettings = Pick<ForwarderOptions, keyof typeof engineFields> &
  SomeOf<typeof forwarderFields> & { readonly log?: LogSettings };

/** How long a resident waits for more to do. Unit: seconds. */
export type Linger = NonNullable<ForwarderSettings['residentLingerSeconds']>;

/** What concerns single forwards. */
export type ForwardSettings = Pick<ForwardSpec, keyof typeof forwardFields>;

export type Settings = ForwarderSettings & ForwardSettings;

/** What forwards a rule is for; all of it must hold. */
export interface Match {
  /** A port, or a range such as `8000-8010`. */
  readonly hostPort?: number | string;
  readonly protocol?: Protocol;
  /** The beginning of a container's id. */
  readonly containerId?: string;
}

/** Settings for some forwards. */
export interface Rule {
  readonly match: Match;
  readonly set: Settings;
}

export interface SettingsFile {
  readonly $schema?: string;
  readonly defaults?: Settings;
  /** Where several match, the later wins. */
  readonly rules?: readonly Rule[];
}

/** Something that is wrong with a settings file. */
export interface SettingsProblem {
  /** Of the file. */
  readonly path: string;
  /** From 1; absent when the file could not be read. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** Where in the settings, such as `defaults.workers`; empty where it cannot be told. */
  readonly key: string;
  /** What was expected, and what there is. */
  readonly message: string;
}

/** A settings file as it was read. */
export interface ReadSettings {
  readonly path: string;
  /** Empty when there are problems: a file is used whole or not at all. */
  readonly file: SettingsFile;
  /** The gates of the file, also of a wrong one; undefined when one of them cannot be made out. */
  readonly gates: SettingsFile | undefined;
  readonly problems: readonly SettingsProblem[];
}
