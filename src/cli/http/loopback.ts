// loopback.ts: which addresses only this machine reaches.

/** @param address - In the notation of `parseAddress`. */
export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
