/**
 * The status page: one stream of snapshots, a second each, drawn as charts and tiles; look-ups go to
 * the API itself. The token, if there is one, is in this module's memory only. Runs in the browser.
 */
const SECONDS = 300;
const RETRY_MS = 2000;
const uPlot = globalThis.uPlot;
const byId = (id) => document.getElementById(id);

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, notation: 'compact' });

const perSecond = (value) => (value === null ? '–' : `${short.format(value)}/s`);
const count = (value) => (value === null ? '–' : whole.format(value));
const percent = (value) => (value === null ? '–' : `${(value * 100).toFixed(1)} %`);

function seconds(value) {
  if (value === null) return '–';
  return value < 1 ? `${(value * 1000).toPrecision(3)} ms` : `${value.toPrecision(3)} s`;
}

function bytes(value) {
  if (value === null) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let size = value;
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000;
  return `${size.toPrecision(3)} ${units[unit]}`;
}

/** Series by the name of the metric with its labels, as the service's snapshots have them. */
const CHARTS = [
  {
    title: 'Events',
    format: perSecond,
    series: [
      ['single', (s) => s.rate('product_service_events_accepted_total{way="single"}')],
      ['in batches', (s) => s.rate('product_service_events_accepted_total{way="batch"}')],
    ],
  },
  {
    title: 'Requests',
    format: perSecond,
    series: [
      ['answered', (s) => s.rateOfAll('product_service_http_requests_total')],
      ['with 5xx', (s) => s.rateOfAll('product_service_http_requests_total', /status="5/)],
    ],
  },
  {
    title: 'Events under way',
    format: count,
    series: [
      ['single', (s) => s.value('product_service_ring_events{ring="single"}')],
      ['of batches', (s) => s.value('product_service_ring_events{ring="batch"}')],
      ['to be applied', (s) => s.value('product_service_ring_events{ring="commit"}')],
    ],
  },
  {
    title: 'From taken in to durable',
    format: seconds,
    series: [
      ['half', (s) => s.quantile('product_service_event_durable_seconds{way="single"}', 0.5)],
      ['99 of 100', (s) => s.quantile('product_service_event_durable_seconds{way="single"}', 0.99)],
    ],
  },
  {
    title: 'From taken in to applied',
    format: seconds,
    series: [
      ['half', (s) => s.quantile('product_service_event_applied_seconds', 0.5)],
      ['99 of 100', (s) => s.quantile('product_service_event_applied_seconds', 0.99)],
    ],
  },
  {
    title: 'One flush of the log',
    format: seconds,
    series: [
      ['half', (s) => s.quantile('product_service_log_flush_duration_seconds', 0.5)],
      ['99 of 100', (s) => s.quantile('product_service_log_flush_duration_seconds', 0.99)],
    ],
  },
];

const TILES = [
  ['State', (s) => s.phase],
  ['Products', (s) => count(s.value('product_service_store_products'))],
  ['Store filled', (s) => percent(s.value('product_service_store_fill_ratio'))],
  ['Last durable event', (s) => count(s.value('product_service_durable_seq'))],
  ['Followers', (s) => count(s.value('product_service_changes_followers'))],
  ['Their lag, events', (s) => count(s.value('product_service_changes_lag_events'))],
  ['Log on disk', (s) => bytes(s.value('product_service_log_bytes'))],
  ['A start would replay', (s) => count(s.value('product_service_checkpoint_uncovered_events'))],
  ['Disk free', (s) => bytes(s.value('product_service_disk_free_bytes'))],
  ['Memory', (s) => bytes(s.value('process_resident_memory_bytes'))],
  ['Dead events', (s) => count(s.value('product_service_event_outcomes_total{outcome="dead"}'))],
  ['Running since', (s) => since(s.value('process_start_time_seconds'))],
];

/** Time of day, of seconds since the epoch. */
function clock(at) {
  return new Date(at * 1000).toLocaleTimeString('en-GB');
}

function since(start) {
  return start === null ? '–' : new Date(start * 1000).toISOString().replace('T', ' ').slice(0, 19);
}

/** One snapshot beside the one before it: values, and what came between the two. */
class Sample {
  constructor(snapshot, before) {
    this.at = snapshot.at;
    this.phase = snapshot.phase;
    this.values = snapshot.values;
    this.histograms = snapshot.histograms;
    this.before = before;
  }

  value(name) {
    return this.values[name] ?? null;
  }

  rate(name) {
    const { before } = this;
    const now = this.value(name);
    const then = before === undefined ? null : before.value(name);
    if (now === null || before === undefined || now < (then ?? 0)) return null;
    return ((now - (then ?? 0)) * 1000) / (this.at - before.at);
  }

  rateOfAll(prefix, labels = /^/) {
    const names = Object.keys(this.values).filter(
      (name) => name.startsWith(prefix) && labels.test(name),
    );
    return names.reduce((sum, name) => sum + (this.rate(name) ?? 0), 0);
  }

  /** The upper bound of the bucket that holds the quantile of what came since the sample before. */
  quantile(name, q) {
    const now = this.histograms[name];
    const then = this.before?.histograms[name];
    if (now === undefined || then === undefined) return null;
    const came = now.counts.map((n, i) => n - then.counts[i]);
    const all = came.reduce((sum, n) => sum + n, 0);
    if (all <= 0) return null;
    let below = 0;
    for (let i = 0; i < came.length; i++) {
      const next = below + came[i];
      if (next >= q * all) {
        const low = i === 0 ? 0 : now.bounds[i - 1];
        const high = now.bounds[i] ?? low;
        return low + ((high - low) * (q * all - below)) / came[i];
      }
      below = next;
    }
    return null;
  }
}

class Chart {
  constructor({ title, format, series }, index) {
    this.title = title;
    this.format = format;
    this.series = series;
    this.data = [[], ...series.map(() => [])];
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    const heading = document.createElement('h3');
    heading.textContent = title;
    heading.id = `chart-${index}`;
    const keys = document.createElement('p');
    this.readings = series.map(([name], i) => {
      const key = document.createElement('span');
      key.className = `key series-${i + 1}`;
      key.append(`${name} `);
      const reading = document.createElement('span');
      reading.textContent = '–';
      key.append(reading);
      keys.append(key);
      return reading;
    });
    caption.append(heading, keys);
    this.place = document.createElement('div');
    this.place.setAttribute('aria-hidden', 'true'); // what it shows now stands above it
    figure.append(caption, this.place);
    byId('charts').append(figure);
    this.draw();
  }

  /** Made anew where colours have changed. */
  draw() {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line') } };
    this.plot = new uPlot(
      {
        width: this.width,
        height: 160,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map(clock) },
          { ...axis, size: 70, values: (_, ticks) => ticks.map((tick) => this.format(tick)) },
        ],
        series: [
          {},
          ...this.series.map((_, i) => ({
            stroke: colour(`--series-${i + 1}`),
            width: 2,
            points: { show: false },
          })),
        ],
      },
      this.data,
      this.place,
    );
  }

  get width() {
    return Math.max(200, this.place.clientWidth);
  }

  add(sample) {
    const values = this.series.map(([, read]) => read(sample));
    [sample.at / 1000, ...values].forEach((value, i) => {
      this.data[i].push(value);
      if (this.data[i].length > SECONDS) this.data[i].shift();
    });
    values.forEach((value, i) => {
      this.readings[i].textContent = this.format(value);
    });
    this.plot.setData(this.data);
  }

  fit() {
    this.plot.setSize({ width: this.width, height: 160 });
  }
}

function row(cells, tag = 'td') {
  const line = document.createElement('tr');
  line.append(
    ...cells.map((content) => {
      const cell = document.createElement(tag);
      if (tag === 'th') cell.scope = 'col';
      cell.append(content);
      return cell;
    }),
  );
  return line;
}

function fillTable(table, head, lines) {
  table.querySelector('thead').replaceChildren(row(head, 'th'));
  table.querySelector('tbody').replaceChildren(...lines.map((line) => row(line)));
}

function list(pairs) {
  const terms = document.createElement('dl');
  terms.className = 'facts';
  for (const [name, value] of pairs) {
    const term = document.createElement('dt');
    term.textContent = name;
    const text = document.createElement('dd');
    text.textContent = typeof value === 'object' ? JSON.stringify(value) : String(value);
    terms.append(term, text);
  }
  return terms;
}

let token;
let stream;
let last;
const charts = CHARTS.map((chart, index) => new Chart(chart, index));
const tiles = TILES.map(([name, read]) => {
  const tile = document.createElement('div');
  const term = document.createElement('dt');
  term.textContent = name;
  const value = document.createElement('dd');
  value.textContent = '–';
  tile.append(term, value);
  byId('now').append(tile);
  return (sample) => {
    const text = String(read(sample));
    if (value.textContent !== text) value.textContent = text;
  };
});

function ask(path, init = {}) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return fetch(path, { cache: 'no-store', ...init, headers });
}

/** The problem's own words, or what else there is to say. */
async function problemOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  return problem.detail ?? problem.title ?? `It answered ${answer.status}.`;
}

function connection(text, kind) {
  const place = byId('connection');
  if (place.textContent === text) return;
  place.textContent = text;
  place.className = kind;
}

function show(snapshot) {
  // After a restart the counters begin again: nothing came in between.
  const isSameStart =
    last?.values.process_start_time_seconds === snapshot.values.process_start_time_seconds;
  const sample = new Sample(snapshot, isSameStart ? last : undefined);
  if (last !== undefined) last.before = undefined;
  for (const chart of charts) chart.add(sample);
  for (const tile of tiles) tile(sample);
  showSinks(sample);
  last = sample;
  connection(`live, ${sample.phase}`, sample.phase === 'ready' ? 'good' : 'bad');
}

const SINK = /^product_service_sink_(\w+)\{(.*)\}$/;

function showSinks(sample) {
  const sinks = new Map();
  for (const [name, value] of Object.entries(sample.values)) {
    const [, figure, labels] = SINK.exec(name) ?? [];
    const sink = /sink="([^"]*)"/.exec(labels ?? '')?.[1];
    if (sink === undefined) continue;
    const others = labels.replace(/sink="[^"]*",?/, '').replace(/,$/, '');
    const title = `${figure.replaceAll('_', ' ')}${others === '' ? '' : ` ${others}`}`;
    if (!sinks.has(sink)) sinks.set(sink, new Map());
    sinks.get(sink).set(title, value);
  }
  byId('sinks').hidden = sinks.size === 0;
  if (sinks.size === 0) return;
  const titles = [...new Set([...sinks.values()].flatMap((figures) => [...figures.keys()]))];
  fillTable(
    byId('sinks').querySelector('table'),
    ['figure', ...sinks.keys()],
    titles.map((title) => [
      title,
      ...[...sinks.values()].map((figures) => short.format(figures.get(title) ?? 0)),
    ]),
  );
}

/** Reads the stream until it ends; gives how long to wait before the next try, or nothing to stay away. */
async function follow(signal) {
  const answer = await ask('status/stream', { signal });
  if (answer.status === 401 || answer.status === 403) {
    token = undefined;
    const reason = await problemOf(answer);
    byId('sign-in').hidden = false;
    byId('sign-in-reason').textContent = reason;
    connection(answer.status === 401 ? 'not signed in' : 'not allowed', 'bad');
    return undefined;
  }
  if (!answer.ok) {
    connection(await problemOf(answer), 'bad');
    return RETRY_MS;
  }
  byId('sign-in').hidden = true;
  void showConfiguration();
  void showDeadLetters();
  let text = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const events = text.split('\n\n');
    text = events.pop();
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data !== undefined) show(JSON.parse(data));
    }
  }
  return RETRY_MS;
}

/** Follows for as long as the page is to be seen. */
async function run() {
  if (stream !== undefined || document.hidden) return;
  stream = new AbortController();
  const { signal } = stream;
  while (!signal.aborted) {
    const waitMs = await follow(signal).catch(() => RETRY_MS);
    if (waitMs === undefined) break;
    if (signal.aborted) return;
    connection('not connected, trying again', 'bad');
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
  stream = undefined;
}

function pause() {
  stream?.abort();
  stream = undefined;
}

async function showConfiguration() {
  const answer = await ask('status/configuration');
  if (!answer.ok) return;
  const { variables } = await answer.json();
  fillTable(
    byId('configuration'),
    ['variable', 'value'],
    variables.map(({ name, value }) => [name, value]),
  );
}

async function showDeadLetters() {
  const answer = await ask('api/v1/dead-letters?limit=20');
  byId('dead-letters').hidden = !answer.ok;
  if (!answer.ok) return;
  const { letters } = await answer.json();
  const members = [...new Set(letters.flatMap((letter) => Object.keys(letter)))];
  fillTable(
    byId('dead-letters').querySelector('table'),
    [...members, 'again'],
    letters.map((letter) => [
      ...members.map((member) => {
        const value = letter[member];
        return typeof value === 'object' ? JSON.stringify(value) : String(value ?? '');
      }),
      redriveButton(letter.id),
    ]),
  );
  byId('dead-note').textContent = letters.length === 0 ? 'There are none.' : '';
}

function redriveButton(id) {
  const button = document.createElement('button');
  button.textContent = `Redrive ${id}`;
  button.addEventListener('click', async () => {
    const path = `api/v1/dead-letters/${encodeURIComponent(id)}/redrive`;
    const answer = await ask(path, { method: 'POST' });
    const said = answer.ok ? `${id} is on its way again.` : await problemOf(answer);
    await showDeadLetters();
    byId('dead-note').textContent = said;
  });
  return button;
}

/** Fills `output` with what each path answers, one after the other; only the first has to be there. */
async function lookUp(output, ...parts) {
  const shown = [];
  for (const [path, render] of parts) {
    const answer = await ask(path).catch(() => undefined);
    if (answer?.ok) shown.push(...render(await answer.json()));
    else if (shown.length === 0) {
      shown.push(answer === undefined ? 'The service did not answer.' : await problemOf(answer));
      break;
    }
  }
  output.replaceChildren(...shown);
}

function heading(text) {
  const title = document.createElement('h3');
  title.textContent = text;
  return title;
}

/** Prices over time, as a chart with the same in words beside it. */
function historyOf(history) {
  const points = history.entries
    .map(({ at, value }) => [Date.parse(at) / 1000, value])
    .sort(([a], [b]) => a - b);
  if (points.length === 0) return [];
  const place = document.createElement('div');
  place.setAttribute('aria-hidden', 'true');
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line') } };
  new uPlot(
    {
      width: Math.max(200, Math.min(700, byId('product-answer').clientWidth)),
      height: 180,
      legend: { show: false },
      cursor: { show: false },
      axes: [axis, axis],
      series: [
        {},
        { stroke: colour('--series-1'), width: 2, paths: uPlot.paths.stepped({ align: 1 }) },
      ],
    },
    [points.map(([at]) => at), points.map(([, price]) => price)],
    place,
  );
  const words = document.createElement('p');
  words.className = 'note';
  const [at, price] = points[points.length - 1];
  words.textContent = `${points.length} prices; the newest, ${price}, since ${new Date(at * 1000).toLocaleString()}.`;
  return [heading('History of its price'), place, words];
}

byId('product').addEventListener('submit', (event) => {
  event.preventDefault();
  const path = `api/v1/products/${encodeURIComponent(byId('product-id').value)}`;
  void lookUp(
    byId('product-answer'),
    [path, (product) => [list(Object.entries(product))]],
    [`${path}/history?field=price&limit=1000`, historyOf],
    [`${path}/prior-price`, (prior) => [heading('Prior price'), list(Object.entries(prior))]],
  );
});

byId('event').addEventListener('submit', (event) => {
  event.preventDefault();
  void lookUp(byId('event-answer'), [
    `api/v1/events/${byId('event-seq').value}`,
    (outcome) => [list(Object.entries(outcome))],
  ]);
});

byId('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  token = byId('token').value.trim();
  byId('token').value = '';
  void run();
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden) pause();
  else void run();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const chart of charts) chart.draw();
});
addEventListener('resize', () => {
  for (const chart of charts) chart.fit();
});
void run();
