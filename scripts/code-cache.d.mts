// code-cache.d.mts: the types of code-cache.mjs, for its test.

export const flags: readonly string[];
export function programOf(starter: string): string;
export function splitStarter(bundle: string): void;
export function cacheOf(program: string): string;
export function makeCache(starter: string): string | undefined;
