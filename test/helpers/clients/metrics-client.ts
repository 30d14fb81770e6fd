/** Scrapes /metrics and reads the text, as far as tests need it. Tests only. */
import { bounded } from '../bounded.ts';

const SCRAPE_MS_MAX = 60_000;
const SERIES = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly series: readonly Series[];
}

export interface Scrape {
  readonly contentType: string;
  readonly text: string;
  readonly families: readonly Family[];
  /**
   * Value of the series whose labels are these; sum of those that have more labels. `undefined` if there
   * is none.
   */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

export async function scrape(port: number, accept = 'text/plain'): Promise<Scrape> {
  const get = () => fetch(`http://127.0.0.1:${port}/metrics`, { headers: { accept } });
  // Once more: a connection that was kept may have been closed meanwhile.
  const answer = await bounded(get().catch(get), SCRAPE_MS_MAX, 'the metrics');
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`/metrics answered ${answer.status}: ${text}`);
  const families = familiesOf(text);
  const all = families.flatMap(({ series }) => series);
  return {
    contentType: answer.headers.get('content-type') ?? '',
    text,
    families,
    value: (name, labels = {}) => {
      const found = all.filter(
        (one) => one.name === name && Object.entries(labels).every(([k, v]) => one.labels[k] === v),
      );
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
    },
  };
}

/** Throws where a line is none of the format, or a series stands outside of its family. */
function familiesOf(text: string): Family[] {
  const families: (Family & { series: Series[] })[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line === '# EOF') continue;
    const [, keyword, name, rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') families.push({ name, help: rest, type: '', series: [] });
    else if (keyword === 'TYPE') Object.assign(families.at(-1) ?? {}, { type: rest });
    else families.at(-1)?.series.push(seriesOf(line));
  }
  for (const { name, series } of families) {
    const stranger = series.find((one) => !one.name.startsWith(name));
    if (stranger !== undefined) throw new Error(`${stranger.name} stands under ${name}`);
  }
  return families;
}

function seriesOf(line: string): Series {
  const [, name, labels = '', value] = SERIES.exec(line) ?? [];
  if (name === undefined) throw new Error(`no line of metrics: ${line}`);
  const pairs = [...labels.matchAll(LABEL)].map(([, key, text]) => [key, text]);
  return { name, labels: Object.fromEntries(pairs), value: Number(value) };
}
