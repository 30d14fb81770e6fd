/** The registry of problems and the page that documents it. */
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { PROBLEMS, type ProblemCode, problemBody } from '../../src/errors/problems.ts';

const codes = Object.keys(PROBLEMS) as ProblemCode[];

t.test('docs/errors.md lists every code with its status, and no other', async (t) => {
  const page = await readFile(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const listed: Record<string, number> = {};
  for (const [, code, status] of page.matchAll(/^\| `([a-z-]+)` \| (\d{3}) \| .+ \| .+ \|$/gm)) {
    t.notOk(code in listed, `${code} is listed once`);
    listed[code] = Number(status);
  }
  const registered = Object.fromEntries(codes.map((code) => [code, PROBLEMS[code].status]));
  t.strictSame(listed, registered);
});

t.test('every entry has an error status, a title and one sentence', async (t) => {
  for (const code of codes) {
    const { status, title, detail } = PROBLEMS[code];
    t.ok(status >= 400 && status <= 599, `${code}: status`);
    t.match(title, /^[A-Z].*[^.]$/, `${code}: title`);
    t.match(detail, /^[A-Z].*\.$/, `${code}: detail`);
    t.match(code, /^[a-z]+(?:-[a-z]+)*$/, `${code}: fit for a URN`);
  }
});

t.test('a problem has the members of RFC 9457 and what the occasion adds', async (t) => {
  t.strictSame(problemBody('queue-full', 'r-1', { outcome: 'none' }), {
    type: 'urn:product-service:problem:queue-full',
    title: 'Queue full',
    status: 503,
    detail: PROBLEMS['queue-full'].detail,
    instance: 'urn:request:r-1',
    code: 'queue-full',
    outcome: 'none',
  });
  t.equal(problemBody('bad-request', 'r', { detail: 'Other.' }).detail, 'Other.');
});
