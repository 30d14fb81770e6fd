/** `import` against a real service: what is taken, refused, said; repeated, changed, compressed, dry. */
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommandLine } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const TABLE = 'sku,price,stock\nA,1.5,2\nB,,7\nC,x,1\nD,2,\n';
const CHANGED = new Date('2026-02-01T10:00:00Z');

async function setup(t: Test) {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
  const env = { HOME: cwd };
  const write = (name: string, content: Uint8Array | string) => {
    writeFileSync(join(cwd, name), content);
    utimesSync(join(cwd, name), CHANGED, CHANGED);
  };
  const read = (name: string) => readFileSync(join(cwd, name), 'utf8');
  const run = (args: readonly string[], input?: Uint8Array | string) =>
    runCommandLine(t, ['import', ...args], {
      cwd,
      port,
      env,
      ...(input === undefined ? {} : { input }),
    });
  const products = async (query = ''): Promise<Record<string, unknown>[]> => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/products?limit=1000${query}`);
    const { products: found } = (await answer.json()) as { products: { id: string }[] };
    return found.sort((a, b) => (a.id < b.id ? -1 : 1));
  };
  return { cwd, port, write, read, run, products };
}

t.test('a table: taken, refused, mended, repeated, and sent as new', async (t) => {
  const { write, read, run, products } = await setup(t);
  write('feed.csv', TABLE);
  const first = await run(['feed.csv']);
  t.match(first, {
    code: 3,
    stdout: /^feed\.csv: 3 taken, 1 refused \(feed\.refused\.csv\); \d+\.\d s\n$/,
    stderr:
      'product-service: feed.csv is a table (table, by its header; , between cells, decimal ., utf-8); event time 2026-02-01T10:00:00.000Z\n',
  });
  const state = await products('&view=full');
  t.match(state, [
    { id: 'A', price: 1.5, stock: 2, price_at: CHANGED.toISOString() },
    { id: 'B', price: null, stock: 7 },
    { id: 'D', price: 2, stock: null },
  ]);
  const report = read('feed.refused.csv');
  t.equal(
    report,
    'import_line,import_reason,sku,price,stock\n4,"the price ""x"" is no number with decimal .",C,x,1\n',
  );
  const again = await run(['feed.csv']);
  t.match(again, { code: 3, stdout: /: 0 taken, 3 known already, 1 refused .* nothing is new, / });
  t.strictSame(await products('&view=full'), state, 'a repetition changes nothing');

  write('feed.refused.csv', report.replace('C,x,1', 'C,3,1'));
  t.match(await run(['feed.refused.csv']), { code: 0, stdout: /: 1 taken, 0 refused;/ });
  t.match((await products())[2], { id: 'C', price: 3, stock: 1 });

  const anew = await run(['feed.csv', '--again']);
  t.match(anew.stdout, /: 3 taken, 1 refused/);
  t.not((await products('&view=full'))[0].seq, state[0].seq);
});

t.test('events: NDJSON and an array, with the faults that the service finds', async (t) => {
  const { write, read, run, products } = await setup(t);
  write(
    'e.ndjson',
    '\ufeff{"product_id":"a","price":1,"stock":1}\r\n\n{"product_id":"b","price":-1,"stok":1}\n{"product_id":"c","stock":1,"partial":true}',
  );
  t.match(await run(['e.ndjson']), {
    code: 3,
    stdout: /: 2 taken, 1 refused \(e\.refused\.ndjson\)/,
  });
  const report = read('e.refused.ndjson');
  t.match(
    report,
    /^# line 3: [^\n]*price must be a finite number, 0 or more\.[^\n]*\n\{"product_id":"b"/,
  );
  write('e.refused.ndjson', report.replace('-1,"stok"', '1,"stock"'));
  t.match(await run(['e.refused.ndjson']), { code: 0, stdout: /: 1 taken, 0 refused/ });
  const array = [...Array(300)].map((_, i) => ({
    product_id: `p${i}`,
    price: i % 2 === 0 ? i : -i - 1,
    stock: 1,
  }));
  write('e.json', JSON.stringify(array, undefined, 2));
  t.match(await run(['e.json', '--refused', 'bad.ndjson']), {
    code: 3,
    stdout: /: 150 taken, 150 refused \(bad\.ndjson\)/,
  });
  const bad = read('bad.ndjson').trimEnd().split('\n');
  t.equal(bad.length, 300, 'also those that the service does not list');
  t.match(bad[298], /^# line 300: price must be/);
  t.match(JSON.parse(bad[299]), array[299]);
  t.equal((await products()).length, 153);
});

t.test('compressed whole, whatever it is made of, told by its content', async (t) => {
  const { write, run, products } = await setup(t);
  const half = (from: number) =>
    Buffer.from(
      [...Array(50)]
        .map((_, i) => `{"product_id":"p${from + i}","stock":1,"partial":true}\n`)
        .join(''),
    );
  const parts = [half(0), half(50)];
  write('gzip', Buffer.concat(parts.map((part) => gzipSync(part))));
  write('zstd', Buffer.concat(parts.map((part) => zstdCompressSync(part))));
  write('brotli', Buffer.concat(parts.map((part) => brotliCompressSync(part))));
  write('utf16.txt', Buffer.from(`\ufeffsku\tprice\nü1\t2\n`, 'utf16le'));
  for (const [i, name] of ['gzip', 'zstd', 'brotli'].entries()) {
    const taken = i === 0 ? '100 taken' : '0 taken, 100 known already';
    t.match(await run([name]), { code: 0, stdout: `${name}: ${taken}, 0 refused` });
  }
  t.match(await run(['utf16.txt']), { code: 0, stdout: /: 1 taken/ });
  t.equal((await products()).length, 101);
  write('cut', gzipSync(parts[0]).subarray(0, 60));
  t.match(await run(['cut']), {
    code: 1,
    stderr: /cut: it ends in the middle of a member of its gzip\.\n$/,
  });
  write('x.xlsx', Buffer.from('504b030414000600', 'hex'));
  t.match(await run(['x.xlsx']), {
    code: 1,
    stderr: /Excel workbook \(\.xlsx\): .*save the sheet as CSV/,
  });
  t.match(await run(['nowhere.csv']), { code: 1, stderr: /nowhere\.csv: ENOENT/ });
});

t.test('standard input, and a repetition of it', async (t) => {
  const { run, products } = await setup(t);
  const good = TABLE.replace('x', '3');
  t.match(await run(['-'], good), { code: 0, stdout: /^standard input: 4 taken, 0 refused;/ });
  t.match(await run(['-'], gzipSync(good)), { code: 0, stdout: /: 0 taken, 4 known already/ });
  t.equal((await products()).length, 4);
  t.match(await run(['-', '--event-time', 'file'], good), { code: 1, stderr: /say --event-time/ });
});

t.test('--dry-run judges everything and needs no service', async (t) => {
  const { cwd, write, read, run, products } = await setup(t);
  write('feed.csv', `${TABLE}E,-1,1\nF,1,-1\n`);
  t.match(await run(['feed.csv', '--dry-run']), {
    code: 3,
    stdout: /^feed\.csv: dry run, nothing was sent: 3 good, 3 refused \(feed\.refused\.csv\)/,
  });
  const refused = read('feed.refused.csv').trimEnd().split('\n');
  t.match(refused.slice(1), [
    /^4,/,
    /^6,"price must be a finite number, 0 or more\."/,
    /^7,"stock must/,
  ]);
  const lenient = await runCommandLine(
    t,
    ['import', 'feed.csv', '--dry-run', '--stock-min', '-5'],
    {
      cwd,
      env: { PRODUCT_SERVICE_URL: 'http://127.0.0.1:9' },
    },
  );
  t.match(lenient.stdout, /: 4 good, 2 refused/);
  t.strictSame(await products(), []);
  t.notOk(existsSync(join(cwd, '.local')), 'nothing is noted');
});

t.test('wrong usage', async (t) => {
  const { write, run } = await setup(t);
  write('feed.csv', TABLE);
  for (const args of [
    [],
    ['feed.csv', '--preset', 'ebay'],
    ['feed.csv', '--map', 'price=x'],
    ['feed.csv', '--map', 'product_id=a,price=b', '--preset', 'excel-de'],
    ['feed.csv', '--delimiter', 'ab'],
    ['feed.csv', '--event-time', 'tomorrow'],
    ['feed.csv', '--retry-for', 'ever'],
    ['feed.csv', 'x.csv', '--refused', 'y'],
  ]) {
    const { code, stderr } = await run(args);
    t.equal(code, 2, args.join(' '));
    t.match(stderr, /^product-service: [^\n]+; see product-service import --help\n$/);
  }
  const none = await run(['feed.csv', '--preset', 'magento2']);
  t.match(none, { code: 1, stderr: /the header is none of magento2: sku, price, stock\n$/ });
  t.match(await run(['feed.csv', '--event-time', '2999-01-01T00:00:00Z']), {
    code: 1,
    stderr: /lies in the future/,
  });
});

t.test('half of a catalogue is none, and nothing of it is sent', async (t) => {
  const { write, run, products } = await setup(t);
  const catalogue = readFileSync(new URL('../../docs/feeds/bmecat-prices.xml', import.meta.url));
  write('half.xml', catalogue.subarray(0, catalogue.length - 30));
  t.match(await run(['half.xml']), {
    code: 1,
    stderr: /half\.xml: the XML ends before its root element does\n$/,
  });
  t.strictSame(await products(), []);
  write('whole.xml', catalogue);
  t.match(await run(['whole.xml', '--price-quantity', '1']), { code: 0, stdout: /: 3 taken/ });
  t.match(await products('&view=full'), [
    { id: '00123', price: 7.1, price_at: '2026-01-15T08:30:00.000Z' },
    { id: '0012345', price: 0.1 },
    { id: 'Mütter&Söhne', price: 3 },
  ]);
});
