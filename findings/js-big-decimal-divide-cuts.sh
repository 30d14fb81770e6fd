#!/usr/bin/env bash
# js-big-decimal 2.2.0: divide(a, b, 2) computes one digit more than was asked for, drops the rest, and rounds that
# half to even. So each quotient that goes on behind a 5 is taken for an exact tie, and half of them end up
# below: 8.00 for 123 pieces is 0.06504 each, "0.06". One would expect the nearest value, 0.07, which its own
# round() makes of the same quotient with more digits, and decimal.js in the same mode. (Its add,
# subtract, multiply and round agreed with decimal.js on 3,000 random pairs each.)
# Output seen:
#   8 / 123   divide 0.06  divide, then round 0.07  decimal.js 0.07
#   5 / 111   divide 0.04  divide, then round 0.05  decimal.js 0.05
#   7 / 279   divide 0.02  divide, then round 0.03  decimal.js 0.03
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts js-big-decimal@2.2.0 decimal.js@10.6.0 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.cjs <<'JS'
const BigDecimal = require('js-big-decimal');
const Decimal = require('decimal.js');
let same = true;
for (const [a, b, cut, nearest] of [['8', '123', '0.06', '0.07'], ['5', '111', '0.04', '0.05'], ['7', '279', '0.02', '0.03']]) {
  const divided = BigDecimal.divide(a, b, 2);
  const rounded = BigDecimal.round(BigDecimal.divide(a, b, 20), 2);
  const other = new Decimal(a).div(b).toFixed(2, Decimal.ROUND_HALF_EVEN);
  console.log(`${a} / ${b}   divide ${divided}  divide, then round ${rounded}  decimal.js ${other}`);
  same &&= divided === cut && rounded === nearest && other === nearest;
}
process.exitCode = same ? 0 : 1;
JS
node_modules/.bin/node run.cjs || { echo 'the behaviour has changed' >&2; exit 1; }
