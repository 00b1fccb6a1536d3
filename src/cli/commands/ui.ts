// ui.ts: `spliceport ui`.

import { isLoopback } from '../http/loopback.js';
import { EndRequests } from '../forward/end-requests.js';
import type { ListenAddress } from '../http/listen-address.js';
import { print, remark } from '../output.js';
import { openInBrowser } from '../ui/browser.js';
import { openUiServer } from '../ui/ui-server.js';

/** Options of `ui`. */
export interface UiOptions {
  readonly listen: ListenAddress;
  readonly open: boolean;
}

/** Serves the page until it is asked to stop. */
export async function ui({ listen, open }: UiOptions): Promise<void> {
  using requests = new EndRequests();
  await using server = await openUiServer(listen);
  print(server.url);
  if (!isLoopback(listen.address)) {
    remark(
      'Others on the network can read what goes to and from the page. An SSH tunnel to a loopback address hides it.',
    );
  }
  if (open) openInBrowser(server.url);
  await requests.next();
}
