/**
 * Decides, like the engine, which files of the build context are left out: patterns in order, the
 * last one that matches the path or a folder above it wins, `!` takes back in.
 */
import { posix } from 'node:path';

/** Tells whether a path (relative to the context, with `/`) is left out. */
export type Ignores = (path: string) => boolean;

export function parseDockerIgnore(content: string): Ignores {
  const rules = content
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const negated = line.startsWith('!');
      return { negated, pattern: regExpOf(posix.normalize(negated ? line.slice(1) : line)) };
    });

  return (path) => {
    const parts = path.split('/');
    const selfAndAbove = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    let ignored = false;
    for (const { negated, pattern } of rules) {
      if (selfAndAbove.some((each) => pattern.test(each))) ignored = !negated;
    }
    return ignored;
  };
}

function regExpOf(pattern: string): RegExp {
  const body = pattern
    .replace(/^\/|\/$/g, '')
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\*\*\/|\*\*|\*|\?/g, (wildcard) => {
      if (wildcard === '**/') return '(?:.*/)?';
      if (wildcard === '**') return '.*';
      return wildcard === '*' ? '[^/]*' : '[^/]';
    });
  return new RegExp(`^${body}$`);
}
