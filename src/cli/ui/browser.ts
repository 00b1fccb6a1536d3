// browser.ts: opens a page in the browser of the desktop.

import { spawn } from 'node:child_process';

/** Whether this process has a display to show a browser on. */
function hasDisplay({ DISPLAY = '', WAYLAND_DISPLAY = '' }: NodeJS.ProcessEnv): boolean {
  return DISPLAY !== '' || WAYLAND_DISPLAY !== '';
}

/** Opens it if there is a display. The address is printed anyway, so a failure is none. */
export function openInBrowser(url: string): void {
  if (!hasDisplay(process.env)) return;
  const opener = spawn('xdg-open', [url], { stdio: 'ignore', detached: true });
  opener.on('error', () => undefined);
  opener.unref();
}
