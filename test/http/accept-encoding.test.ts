/** Accept-Encoding as RFC 9110 section 12.5.3 has it, and what is made of what it does not have. */
import t from 'tap';
import { preferredCoding } from '../../src/http/requests/accept.ts';

const CODINGS = ['zstd', 'br', 'gzip'] as const;

const CASES: readonly [header: string | undefined, coding: string | undefined][] = [
  [undefined, undefined],
  ['', undefined],
  ['gzip', 'gzip'],
  ['GZip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['gzip, deflate, br, zstd', 'zstd'],
  ['gzip, deflate, br', 'br'],
  ['deflate', undefined],
  ['gzip;q=1.0, br;q=0.5', 'gzip'],
  ['gzip; q=0.2 ,br ;q=0.3', 'br'],
  ['zstd;q=0, br;q=0.000, gzip;q=0.001', 'gzip'],
  ['gzip;q=0', undefined],
  ['*', 'zstd'],
  ['*;q=0', undefined],
  ['zstd;q=0, *', 'br'],
  ['*;q=0.5, gzip', 'gzip'],
  ['identity', undefined],
  ['identity, gzip;q=0.5', undefined],
  ['identity;q=0.5, gzip', 'gzip'],
  ['identity, gzip', 'gzip'],
  ['identity;q=0', undefined],
  ['identity;q=0, *;q=0', undefined],
  ['gzip;q=high', 'gzip'],
  ['gzip;q=1.5', 'gzip'],
  [',,gzip,', 'gzip'],
];

t.test('which coding a header takes', (t) => {
  for (const [header, coding] of CASES) {
    t.equal(preferredCoding(header, CODINGS), coding, `Accept-Encoding: ${header}`);
  }
  t.end();
});
