/** Histograms: bounds are included, everything is counted once, and what is wrong is refused. */
import t from 'tap';
import { Histogram } from '../../src/metrics/histogram.ts';

t.test('a value is counted at the first bound that it does not exceed', (t) => {
  const histogram = new Histogram([1, 5, 10]);
  for (const value of [0, 1, 1.5, 5, 10, 10.5, Number.MAX_VALUE]) histogram.observe(value);
  t.strictSame([...histogram.counts], [2, 2, 1, 2]);
  t.end();
});

t.test('times count, and the sum is of all', (t) => {
  const histogram = new Histogram([1, 2]);
  histogram.observe(1.5, 4);
  histogram.observe(3);
  t.strictSame([...histogram.counts], [0, 4, 1]);
  t.equal(histogram.sum, 9);
  t.equal(histogram.count, 5);
  t.end();
});

t.test('bounds out of order, or double, are refused', (t) => {
  t.throws(() => new Histogram([1, 3, 2]), /bounds ascend: 1, 3, 2/);
  t.throws(() => new Histogram([1, 1]), /bounds ascend/);
  t.end();
});
