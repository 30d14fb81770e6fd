/** How a bench's figures are written down. */
import t from 'tap';
import { type Aim, aimTable, figure } from '../../bench/support/report.ts';

const rowOf = (measured: number, wanted: number, better: Aim['better']) =>
  aimTable('', [{ what: 'x', measured, wanted, better, unit: '/s' }]).rows[0];

t.test('a figure has three digits', (t) => {
  t.same(
    [1_834_567, 45.2345, 0.97345, 0].map((value) => figure(value)),
    ['1,830,000', '45.2', '0.973', '0'],
  );
  t.end();
});

t.test('one that missed its aim by less than that is shown with as many as show it', (t) => {
  t.same(rowOf(199_812, 200_000, 'higher'), ['x', '199,800 /s', '≥ 200,000 /s', 'no']);
  t.same(rowOf(0.949_99, 0.95, 'higher'), ['x', '0.94999 /s', '≥ 0.95 /s', 'no']);
  t.same(rowOf(3.0004, 3, 'lower'), ['x', '3.0004 /s', '≤ 3 /s', 'no']);
  t.same(rowOf(200_100, 200_000, 'higher'), ['x', '200,000 /s', '≥ 200,000 /s', 'yes']);
  t.same(rowOf(Number.POSITIVE_INFINITY, 1, 'lower'), ['x', 'Infinity /s', '≤ 1 /s', 'no']);
  t.end();
});
