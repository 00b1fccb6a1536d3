// netns-addresses.ts: the addresses of a process's network namespace, from /proc.

import { readFileSync } from 'node:fs';
import { attempt } from '../running/processes.js';

/** Whether the network namespace of a process has the address itself. */
export function hasAddress(pid: number, address: string): boolean {
  return address.includes(':') ? hasIPv6(pid, address) : hasIPv4(pid, address);
}

function hasIPv4(pid: number, address: string): boolean {
  const text = attempt(() => readFileSync(`/proc/${pid}/net/fib_trie`, 'utf8')) ?? '';
  const lines = text.split('\n');
  return lines.some(
    (line, index) =>
      line.endsWith(`|-- ${address}`) && lines[index + 1]?.trim() === '/32 host LOCAL',
  );
}

function hasIPv6(pid: number, address: string): boolean {
  const wanted = hexOf(address);
  const text = attempt(() => readFileSync(`/proc/${pid}/net/if_inet6`, 'utf8')) ?? '';
  return text.split('\n').some((line) => line.startsWith(`${wanted} `));
}

/** An IPv6 address as 32 digits, as /proc/net/if_inet6 has it. */
function hexOf(address: string): string {
  const [before = [], after] = address
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''));
  const missing = after === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<string>(missing).fill('0'), ...(after ?? [])]
    .map((group) => group.padStart(4, '0'))
    .join('')
    .toLowerCase();
}
