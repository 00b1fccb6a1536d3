// service-reports.ts: what `spliceport forward` reports to systemd.

import type { ServiceManager } from '../systemd/notify.js';
import { count } from '../text/units.js';
import {
  describeCommand,
  describeContainer,
  describeDraining,
  describeTraffic,
  type Report,
} from './reports.js';

/** The same reports, some of them to systemd as well. */
export function withService<T extends { readonly report: Report }>(
  watching: T,
  service: ServiceManager,
): T {
  let ended = '';
  const report: Report = (event) => {
    watching.report(event);
    switch (event.event) {
      case 'ready':
        service.ready(`Forwarding ${count(event.forwards.length, 'port')}`);
        return;
      case 'traffic':
        service.status(`${ended}${describeTraffic(event)}`);
        return;
      case 'container-ended':
        ended = `Container ${event.container} has stopped; `;
        service.status(describeContainer(event));
        return;
      case 'container-back':
        ended = '';
        service.status(describeContainer(event));
        return;
      case 'container-starting':
      case 'container-stopping':
      case 'container-command-failed':
        service.status(describeCommand(event));
        return;
      case 'draining':
        service.status(describeDraining(event));
        return;
      case 'added':
      case 'removed':
      case 'retargeted':
      case 'session':
      case 'troubles':
      case 'closed':
      case 'failed': // The log has them.
    }
  };
  return { ...watching, report };
}
