/** Which files of the build context are left out, by @balena/dockerignore (the engine's rules). */
import { createRequire } from 'node:module';
import type DockerIgnore from '@balena/dockerignore';

// Its types say `default`, its module is the function itself.
const dockerIgnore: typeof DockerIgnore.default = createRequire(import.meta.url)(
  '@balena/dockerignore',
);

/** Whether a path (relative to the context, with `/`) is left out. */
export type Ignores = (path: string) => boolean;

export function parseDockerIgnore(content: string): Ignores {
  const rules = dockerIgnore().add(content.split('\n'));
  return (path) => path !== '' && rules.ignores(path);
}
