/** The environment that `npm start` gives the service, and benches give all that they measure. */
import { fileURLToPath } from 'node:url';

export const START_ENV = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL('../../node_modules/.cache/node', import.meta.url)),
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
} as const;
