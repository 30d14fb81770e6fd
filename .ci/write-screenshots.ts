/**
 * Writes docs/images/status-*.png: the status page during an import, in Debian's Chromium, light and dark, on
 * a screen and at phone width. `npm run docs:screenshots`, after the page has changed; look at them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { TestBrowser, type View } from '../test/helpers/clients/browser.ts';

const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
const IMAGES = join(REPOSITORY, 'docs/images');
const SHOTS: Readonly<Record<string, View>> = {
  'status-light': { width: 1440, colours: 'light' },
  'status-dark': { width: 1440, colours: 'dark' },
  'status-phone': { width: 390, colours: 'light' },
};
const SECONDS = 45;
const BATCH = 2000;
const PRODUCTS = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'product-service-screenshots-'));
const service = spawn(process.execPath, [join(REPOSITORY, 'src/main.ts')], {
  cwd: folder,
  env: { PATH: process.env.PATH, PORT: '0', MAX_MEMORY_USAGE: '64MB' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  let log = '';
  service.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  const ready = () => /ready on (http:\/\/[^"]+)"/.exec(log)?.[1];
  while (ready() === undefined) {
    if (service.exitCode !== null) throw new Error(log);
    await pause(50);
  }
  const url = `${ready()}/`;
  const browser = await TestBrowser.launch();
  const pages = await Promise.all(
    Object.entries(SHOTS).map(async ([name, view]) => ({
      name,
      page: await browser.open(url, view),
    })),
  );
  await load(url);
  mkdirSync(IMAGES, { recursive: true });
  for (const { name, page } of pages) {
    await page.fill('#product-id', 'sku-7');
    await page.keyboard.press('Enter');
    await pause(500);
    await page.evaluate('scrollTo(0, 0)');
    await page.screenshot({ path: join(IMAGES, `${name}.png`) });
  }
  await browser.close();
} finally {
  service.kill('SIGTERM');
  if (service.exitCode === null) await once(service, 'exit');
  rmSync(folder, { recursive: true });
}

/** Some load that goes up and down, single events and batches. */
async function load(url: string): Promise<void> {
  const end = performance.now() + SECONDS * 1000;
  let sent = 0;
  for (let turn = 0; performance.now() < end; turn++) {
    const size = Math.round(BATCH * (1.2 + Math.sin(turn / 8)));
    const lines = Array.from({ length: size }, (_, i) => {
      const id = (sent + i) % PRODUCTS;
      return JSON.stringify({ product_id: `sku-${id}`, price: (id % 900) + 0.99, stock: i % 50 });
    });
    sent += size;
    await post(`${url}api/v1/events/batch`, 'application/x-ndjson', lines.join('\n'));
    const singles = Array.from({ length: 40 }, (_, i) =>
      post(
        `${url}api/v1/events`,
        'application/json',
        JSON.stringify({ product_id: `sku-${i}`, price: 7.5 + turn, stock: turn }),
      ),
    );
    await Promise.all(singles);
    await pause(60);
  }
}

async function post(url: string, type: string, body: string): Promise<void> {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
}
