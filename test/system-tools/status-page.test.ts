/**
 * The status page in a real Chromium: it shows what happens while it happens, comes back after a restart,
 * keeps a token to itself, and can be read at every width, in light and dark, and without eyes.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import t from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { sendBatch } from '../helpers/clients/batch-client.ts';
import { TestBrowser, type View } from '../helpers/clients/browser.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { freePort } from '../helpers/servers/free-port.ts';
import { claims, SECRET, secretToken } from '../helpers/tokens.ts';

const WAIT_MS_MAX = 60_000;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VIEWS: readonly View[] = [
  { width: 390, colours: 'light' },
  { width: 390, colours: 'dark' },
  { width: 1440, colours: 'light' },
  { width: 1440, colours: 'dark' },
];
const PLAIN = VIEWS[2] as View;
const BATCH = 2000;

t.setTimeout(300_000);

const text = (page: Page, selector: string) => page.locator(selector).innerText();

/** Value of the tile of that name. */
const tile = (page: Page, name: string) =>
  page
    .locator('#now > div', { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
    .locator('dd')
    .innerText();

/** What a chart says in words: its readings, by their names. */
const readings = (page: Page, chart: string) =>
  page
    .locator('figure', { has: page.locator('h3', { hasText: new RegExp(`^${chart}$`) }) })
    .locator('figcaption p')
    .innerText();

const lines = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) =>
    JSON.stringify({ product_id: `p${from + i}`, price: i + 1, stock: i }),
  ).join('\n');

function until(what: string, ask: () => Promise<boolean>): Promise<true> {
  return polled(async () => (await ask()) || undefined, WAIT_MS_MAX, what) as Promise<true>;
}

const url = (port: number) => `http://127.0.0.1:${port}/`;

t.test('during an import, and after the service has restarted', async (t) => {
  const cwd = tempDir(t);
  const port = await freePort();
  const env = { PORT: `${port}`, MAX_MEMORY_USAGE: '64MB' };
  const service = await ServiceProcess.start(t, { cwd, env });
  const browser = await TestBrowser.start(t);
  const complaints: string[] = [];
  const page = await browser.open(url(port), PLAIN, complaints);
  await until('it to be live', async () => (await text(page, '#connection')) === 'live, ready');

  let isOver = false;
  let sent = 0;
  const importing = (async () => {
    for (; !isOver; sent += BATCH) await sendBatch(port, lines(sent, BATCH));
  })();
  await until('a rate', async () =>
    /in batches\s*[\d.]+[KM]?\/s/.test(await readings(page, 'Events')),
  );
  await until('a flush', async () =>
    /half\s*[\d.]+ m?s/.test(await readings(page, 'One flush of the log')),
  );
  isOver = true;
  await importing;
  const products = new Intl.NumberFormat('en').format(sent);
  await until('all products', async () => (await tile(page, 'Products')) === products);

  await page.fill('#product-id', 'p7');
  await page.keyboard.press('Enter');
  await until('the product', async () => /price\s+8\s/.test(await text(page, '#product-answer')));
  await page.fill('#product-id', 'nowhere/else');
  await page.keyboard.press('Enter');
  await until('that there is none', async () =>
    /no event/i.test(await text(page, '#product-answer')),
  );
  await page.fill('#event-seq', '8');
  await page.keyboard.press('Enter');
  await until('its outcome', async () => /applied/.test(await text(page, '#event-answer')));
  await page.locator('summary').click();
  await until('a variable', async () =>
    /MAX_MEMORY_USAGE\s+64MB/.test(await text(page, '#configuration')),
  );
  t.strictSame(
    complaints.filter((complaint) => !/404/.test(complaint)),
    [],
    'no script failed, nothing was blocked, and nobody else was asked',
  );

  const before = await tile(page, 'Running since');
  t.strictSame(await service.stop(), { code: 0, signal: null }, 'an open page holds no stop up');
  await until('it to notice', async () => (await text(page, '#connection')) !== 'live, ready');
  await ServiceProcess.start(t, { cwd, env });
  await until('it to be back', async () => (await text(page, '#connection')) === 'live, ready');
  await until('the new start', async () => (await tile(page, 'Running since')) !== before);
  await until('the same products', async () => (await tile(page, 'Products')) === products);
});

t.test('at phone width and on a screen, in light and dark, for everybody', async (t) => {
  const service = await ServiceProcess.start(t, {
    cwd: tempDir(t),
    env: { MAX_MEMORY_USAGE: '16MB' },
  });
  const port = await service.ready();
  await sendBatch(port, lines(0, 50));
  const browser = await TestBrowser.start(t);
  for (const view of VIEWS) {
    const name = `${view.width} pixels, ${view.colours}`;
    const page = await browser.open(url(port), view);
    await until('it to be live', async () => (await text(page, '#connection')) === 'live, ready');
    await page.locator('summary').click();
    await page.fill('#product-id', 'p7');
    await page.keyboard.press('Enter');
    await until('the product', async () => /price/.test(await text(page, '#product-answer')));
    const [shown, wide] = await page.evaluate<[number, number]>(
      '[document.documentElement.clientWidth, document.documentElement.scrollWidth]',
    );
    t.ok(wide <= shown, `${name}: nothing sticks out (${wide} of ${shown})`);
    await page.evaluate(AXE);
    const found = await page.evaluate<string[]>(
      'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + nodes.map(({ html }) => html)))',
    );
    t.strictSame(found, [], `${name}: axe finds nothing`);
  }

  const page = await browser.open(url(port), PLAIN);
  await until('it to be live', async () => (await text(page, '#connection')) === 'live, ready');
  const reached: string[] = [];
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press('Tab');
    const name = await page.evaluate<string>(
      'document.activeElement.id || document.activeElement.textContent.trim()',
    );
    reached.push(name);
  }
  for (const stop of [
    'Skip to the content',
    'product-id',
    'event-seq',
    'All variables as they count',
  ]) {
    t.ok(reached.includes(stop), `the keyboard reaches ${stop}`);
  }
});

t.test('with authentication on, the token stays in memory', async (t) => {
  const env = { MAX_MEMORY_USAGE: '16MB', JWT_SECRET: SECRET };
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
  const port = await service.ready();
  const browser = await TestBrowser.start(t);
  const page = await browser.open(url(port), PLAIN);
  await until('it to ask', () => page.locator('#token').isVisible());
  await page.fill('#token', 'no.token.atall');
  await page.keyboard.press('Enter');
  await until('a refusal', async () => (await text(page, '#connection')) === 'not signed in');
  await page.fill('#token', await secretToken(claims({ roles: ['reader'] })));
  await page.keyboard.press('Enter');
  await until('what is missing', async () =>
    /role admin/.test(await text(page, '#sign-in-reason')),
  );
  const admin = await secretToken(claims({ roles: ['admin'] }));
  await page.fill('#token', admin);
  await page.keyboard.press('Enter');
  await until('it to be live', async () => (await text(page, '#connection')) === 'live, ready');
  await until('it to ask no more', async () => !(await page.locator('#token').isVisible()));
  const kept = await page.evaluate<string>(
    'JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie + location.href',
  );
  t.notOk(kept.includes(admin), 'it is nowhere that outlives the page');
  t.notOk((await page.content()).includes(admin), 'nor in the page');
  await page.reload();
  await until('it to ask again', () => page.locator('#token').isVisible());
  await bounded(page.close(), WAIT_MS_MAX, 'the page to close');
});
