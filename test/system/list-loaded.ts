/**
 * Loaded with `--import` into a service's process: at its exit, writes what its main thread had
 * loaded, modules and Node's own parts, a line each, to the file that LOADED names.
 */
import { writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const { LOADED } = process.env;
if (isMainThread && LOADED !== undefined) {
  const urls: string[] = [];
  registerHooks({
    load: (url, context, next) => {
      urls.push(url);
      return next(url, context);
    },
  });
  // Not in the types; each entry is `NativeModule <name>` or the like.
  const { moduleLoadList } = process as unknown as { readonly moduleLoadList: readonly string[] };
  process.on('exit', () => writeFileSync(LOADED, [...urls, ...moduleLoadList].join('\n')));
}
