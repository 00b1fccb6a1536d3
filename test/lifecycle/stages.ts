// stages.ts: the stages of a forwarder's life at which a process may end, and the ways in which it
// may.

export const stages = ['created', 'forwarding', 'relaying', 'draining', 'closed'] as const;
export const ways = ['exit', 'natural end', 'exception', 'SIGTERM', 'SIGTERM, handled'] as const;

export type Stage = (typeof stages)[number];
export type Way = (typeof ways)[number];

/** What `exit` and the handler of SIGTERM exit with. */
export const EXIT_CODE = 7;
