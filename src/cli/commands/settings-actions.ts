// settings-actions.ts: the arguments of `spliceport settings`.

/** Actions. */
export const settingsActions = ['check', 'show'] as const;

/** Options of `settings`. */
export interface SettingsOptions {
  readonly json?: boolean;
}
