/**
 * The value of a line in `.env`. Shells, Docker Compose, systemd and the dotenv libraries read quotes, `#`,
 * `$` and backslashes differently, so that the same line means another folder to each: what they agree
 * on is read, the rest is refused. Pure, any thread.
 *
 *   plain         up to the end or to a `#` behind a blank; no quote at its start, no `$NAME` in it
 *   'as it is'    anything but the quote
 *   "also plain"  anything but quotes, backslashes and `$NAME`
 *
 * Behind a closing quote come only blanks and a comment.
 */

export type EnvValue = { readonly value: string } | { readonly fault: string };

const QUOTED = /^(['"`])(.*?)\1(.*)$/;
const REST = /^\s*(?:#.*)?$/;
/** `${HOME}`, `$HOME`, `$(pwd)`: some replace it, some don't. */
const EXPANSION = /\$[A-Za-z_{(]/;

/** Reads what stands behind `NAME=`. A fault completes "the value …". */
export function readEnvValue(text: string): EnvValue {
  const trimmed = text.trim();
  return /^['"`]/.test(trimmed) ? readQuoted(trimmed) : readPlain(trimmed);
}

function readQuoted(text: string): EnvValue {
  const [, quote, value = '', rest = ''] = QUOTED.exec(text) ?? [];
  if (quote === undefined) return { fault: 'has no closing quote on its line' };
  if (quote === '`') return { fault: 'stands in backticks; use single quotes' };
  if (!REST.test(rest)) return { fault: 'goes on behind its closing quote' };
  if (rest !== '' && !/^\s/.test(rest)) return { fault: 'needs a blank before the #' };
  if (quote === '"' && value.includes('\\')) {
    return { fault: 'has a backslash in double quotes; use single quotes' };
  }
  if (quote === '"' && EXPANSION.test(value)) return expansionFault();
  return { value };
}

function readPlain(text: string): EnvValue {
  const comment = text.search(/(?:^|\s)#/);
  const value = (comment < 0 ? text : text.slice(0, comment)).trimEnd();
  if (value.includes('#')) {
    return { fault: 'has a # without a blank before it; put it in single quotes' };
  }
  if (EXPANSION.test(value)) return expansionFault();
  return { value };
}

function expansionFault(): EnvValue {
  return { fault: 'has a $, which is not replaced here; write it out, or use single quotes' };
}
