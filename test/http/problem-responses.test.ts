import { test } from 'tap';
import { problemResponses } from '../../src/http/schemas/problem.ts';

test('codes of one status share a response, and each is named', async (t) => {
  const responses = problemResponses('queue-full', 'store-full', 'stopping');
  t.strictSame(Object.keys(responses), ['503', '507']);
  t.match(responses[503]?.description, /^`queue-full`: .* `stopping`: /);
  t.match(responses[507]?.description, /^`store-full`: /);
  t.strictSame(Object.keys(responses[507]?.content ?? {}), ['application/problem+json']);
});
