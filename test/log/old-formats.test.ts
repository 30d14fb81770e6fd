/** Logs of every released format version load, give the state they always gave, and go on. */
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { recovered } from '../helpers/log-life.ts';
import { Pipeline } from '../helpers/pipeline.ts';
import { type ModelProduct, readProduct } from '../helpers/product-model.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');

interface Expected {
  readonly events: number;
  /** By `id:` and the product's id, because `__proto__` is one. */
  readonly products: Readonly<Record<string, ModelProduct>>;
}

const formats = readdirSync(FIXTURES).filter((name) => /^format-\d+$/.test(name));
t.ok(formats.includes('format-1'));

for (const format of formats) {
  t.test(format, async (t) => {
    const expected: Expected = JSON.parse(
      readFileSync(join(FIXTURES, format, 'expected.json'), 'utf8'),
    );
    const dataDir = tempDir(t);
    cpSync(join(FIXTURES, format, 'log'), join(dataDir, 'log'), { recursive: true });
    const { events, tornTail } = recovered(dataDir);
    t.equal(events.length, expected.events);
    t.equal(tornTail, undefined, 'nothing is cut');

    const check = (pipeline: Pipeline) => {
      for (const [key, product] of Object.entries(expected.products)) {
        t.same(readProduct(pipeline.store, key.slice('id:'.length)), product, key);
      }
    };
    const pipeline = await Pipeline.start(t, { dataDir });
    check(pipeline);
    const event = { productId: 'new', price: 1, stock: 2, occurredAtMs: 3 };
    t.equal(await pipeline.send(event), expected.events + 1, 'the numbers go on');
    t.equal(await pipeline.stop(), true);

    const again = await Pipeline.start(t, { dataDir });
    check(again);
    t.match(readProduct(again.store, 'new'), { price: 1, seq: expected.events + 1 });
    t.equal(await again.stop(), true);
  });
}
