// address.ts: IP addresses in text form. Small: loading node:net would take longer than loading the
// whole library.

/** An IP address in its canonical text form. */
export interface IpAddress {
  readonly family: 4 | 6;
  /** In the form of RFC 5952; an IPv4-mapped IPv6 address as its IPv4 address. */
  readonly address: string;
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** Parses a numeric address, without brackets or zone; undefined if it is invalid. */
export function parseAddress(text: string): IpAddress | undefined {
  if (IPV4.test(text)) return { family: 4, address: text };
  const groups = parseIpv6(text);
  if (groups === undefined) return undefined;
  const [high, low] = [groups[6] ?? 0, groups[7] ?? 0];
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return { family: 4, address: [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.') };
  }
  return { family: 6, address: formatIpv6(groups) };
}

/** `127.0.0.1:80`, `[::1]:80`; the port may be a range. */
export function formatEndpoint(endpoint: {
  readonly address: string;
  readonly port: number | string;
}): string {
  const { address, port } = endpoint;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether it means every address of its family. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/**
 * Parses a block of addresses, such as `10.0.0.0/8`, or a single address. Returns its canonical
 * text form; undefined if it is invalid.
 */
export function parseCidr(text: string): string | undefined {
  const [, network = '', prefix] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const parsed = parseAddress(network);
  if (parsed === undefined || prefix === undefined) return parsed?.address;
  const isMapped = parsed.family === 4 && network.includes(':');
  const bits = Number(prefix) - (isMapped ? 96 : 0);
  if (bits < 0 || bits > (parsed.family === 4 ? 32 : 128)) return undefined;
  return `${parsed.address}/${bits}`;
}

function parseIpv6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else if (mayEndInIpv4 && index === parts.length - 1 && IPV4.test(part)) {
      const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
      groups.push((a << 8) | b, (c << 8) | d);
    } else {
      return undefined;
    }
  }
  return groups;
}

function formatIpv6(groups: readonly number[]): string {
  // RFC 5952: the longest run of at least two zero groups, the first of equal ones, is written as
  // "::".
  let [start, length] = [-1, 1];
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && groups[to] === 0) to++;
    if (to - from > length) [start, length] = [from, to - from];
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}
