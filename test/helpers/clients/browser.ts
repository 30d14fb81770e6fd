/** Debian's Chromium, driven by playwright-core: pages of one size and colour scheme. Tests only. */
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';

const CHROMIUM = '/usr/bin/chromium';

export interface View {
  readonly width: number;
  readonly colours: 'light' | 'dark';
}

export class TestBrowser {
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  /** Starts it; it ends with the test. Root needs --no-sandbox; it opens nothing but the service's own page. */
  static async start(t: Test): Promise<TestBrowser> {
    const browser = await TestBrowser.launch();
    t.teardown(() => browser.close());
    return browser;
  }

  static async launch(): Promise<TestBrowser> {
    const args = ['--no-sandbox', '--disable-dev-shm-usage'];
    return new TestBrowser(await chromium.launch({ executablePath: CHROMIUM, args }));
  }

  close(): Promise<void> {
    return this.#browser.close();
  }

  /** Opens `url`; what the page complains of is put into `complaints`. */
  async open(url: string, view: View, complaints: string[] = []): Promise<Page> {
    const context: BrowserContext = await this.#browser.newContext({
      viewport: { width: view.width, height: 900 },
      colorScheme: view.colours,
      locale: 'en-GB',
      timezoneId: 'UTC',
    });
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('request', (request) => {
      const asked = request.url();
      if (!asked.startsWith(url) && !asked.startsWith('data:')) complaints.push(`asks ${asked}`);
    });
    await page.goto(url);
    return page;
  }
}
