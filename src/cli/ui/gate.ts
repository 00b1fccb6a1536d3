// gate.ts: whom `spliceport ui` serves. Everyone on this machine can connect to its port, and every
// page of the web can make a browser do so. So the address that it prints has a token, which works
// once, for a process of this user; it gives the browser a cookie that no other site's page can
// make it send, and that no script can read.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { peerUids } from './peer-uids.js';

const RANDOM_BYTES = 24;
const SECONDS_PER_DAY = 86_400;

/** Why a request is not served. */
export interface Refused {
  readonly status: 401 | 403;
  readonly message: string;
  readonly hint?: string;
}

/** The answer to a request for the page. */
export interface Admitted {
  /** A header, if the token was exchanged. */
  readonly setCookie?: string;
}

const noToken: Refused = {
  status: 401,
  message: 'This page needs the address that spliceport ui prints.',
  hint: 'Run "spliceport ui" again, and open the address that it prints. An address works once.',
};

/** Decides about requests. */
export class Gate {
  readonly token = randomBytes(RANDOM_BYTES).toString('base64url');
  readonly #secret = randomBytes(RANDOM_BYTES).toString('base64url');
  #isUsed = false;

  /** A request for the page itself, which has no data. */
  forPage(request: IncomingMessage, token: string | null): Admitted | Refused {
    const refused = this.#ofHost(request);
    if (refused !== undefined) return refused;
    if (this.#hasCookie(request)) return {};
    if (token === null || this.#isUsed || !isEqual(token, this.token)) return noToken;
    if (!isOfThisUser(request)) {
      return { status: 403, message: 'This page is for another user of this machine.' };
    }
    this.#isUsed = true;
    return {
      setCookie:
        `${nameFor(request)}=${this.#secret}; HttpOnly; SameSite=Strict; Path=/; ` +
        `Max-Age=${SECONDS_PER_DAY}`,
    };
  }

  /** A request for data, or to change something; undefined if it is served. */
  forData(request: IncomingMessage): Refused | undefined {
    return (
      this.#ofHost(request) ?? ofOrigin(request) ?? (this.#hasCookie(request) ? undefined : noToken)
    );
  }

  /** A name that is not one of this machine's may have been made to lead here by another site. */
  #ofHost({ headers: { host = '' } }: IncomingMessage): Refused | undefined {
    const [, bracketed, plain = ''] = /^(?:\[(.*)\]|([^:]*))(?::\d+)?$/.exec(host) ?? [];
    if (isIP(bracketed ?? plain) !== 0 || plain === 'localhost') return undefined;
    return {
      status: 403,
      message: 'This page is served under an IP address or localhost only.',
    };
  }

  #hasCookie(request: IncomingMessage): boolean {
    const { cookie = '' } = request.headers;
    const prefix = `${nameFor(request)}=`;
    return cookie
      .split(/; */)
      .some((each) => each.startsWith(prefix) && isEqual(each.slice(prefix.length), this.#secret));
  }
}

/** Pages of other sites, and of other ports of this machine, are not served. */
function ofOrigin({ method, headers }: IncomingMessage): Refused | undefined {
  const { origin, host = '', 'sec-fetch-site': site } = headers;
  const isOwn =
    (origin === undefined || origin === `http://${host}`) &&
    (site === undefined || site === 'same-origin') &&
    // Browsers name the origin of whatever changes something.
    (method === 'GET' || origin !== undefined);
  return isOwn
    ? undefined
    : { status: 403, message: 'Pages of other sites may not ask spliceport ui.' };
}

/** Browsers send a cookie to every port of an address, so its name has the port. */
function nameFor({ socket }: IncomingMessage): string {
  return `spliceport-${socket.localPort ?? 0}`;
}

/** The address may be seen by others of this machine, in the list of processes. */
function isOfThisUser({ socket }: IncomingMessage): boolean {
  const uids = peerUids(socket);
  const own = [process.getuid?.(), 0, Number(process.env['SUDO_UID'] ?? NaN)];
  return uids.every((uid) => own.includes(uid));
}

/** Takes the same time wherever the texts differ. */
function isEqual(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
