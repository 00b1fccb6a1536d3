// settings-actions.ts: what `spliceport settings` takes.

/** What can be done with a settings file. */
export const settingsActions = ['check', 'show'] as const;

/** Options of `settings`. */
export interface SettingsOptions {
  readonly json?: boolean;
}
