// go-text.ts: the wording of Go's errors, which Podman's users and tests expect.

import { describeErrno } from '../errno.js';

/** Go's texts for errnos where they differ from libuv's. */
const ERRNO_TEXTS: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'cannot assign requested address',
  EAFNOSUPPORT: 'address family not supported by protocol',
  EEXIST: 'file exists',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  ENFILE: 'too many open files in system',
  ENOMEM: 'cannot allocate memory',
};

const ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};

/** The text of an errno. */
export function errnoText(errno: number): string {
  const { code, text } = describeErrno(errno);
  return ERRNO_TEXTS[code] ?? text;
}

/** A failed call of node:fs as `<call> <path>: <text>`; any other error by its message. */
export function callText(error: unknown, path: string): string {
  const { errno, syscall, message } = error as NodeJS.ErrnoException;
  return errno === undefined ? message : `${syscall ?? 'open'} ${path}: ${errnoText(errno)}`;
}

/** A text in double quotes, with unprintable characters escaped. */
export function quote(text: string): string {
  const escaped = text.replace(/["\\\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const hex = (digits: number) => code.toString(16).padStart(digits, '0');
    if (code < 0x80) return ESCAPES[character] ?? `\\x${hex(2)}`;
    return code < 0x1_0000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
  });
  return `"${escaped}"`;
}
