/** The two forms of occurred_at, one by one; how finely they are kept; what is said of all others. */
import fc from 'fast-check';
import t from 'tap';
import { EVENT_TIME_MS_MIN, eventTimeMs, isEventTime } from '../../src/event/event-time.ts';
import { EVENT_TIME_RULE, eventTimeFault, futureFault } from '../../src/event/event-time-faults.ts';
import { queryTimeMs } from '../../src/http/schemas/write-query.ts';
import { timeText } from '../../src/time/microseconds.ts';
import { testSeed } from '../helpers/models/random.ts';

/** A leap second is the last microsecond of its day: behind all before it, before all behind it. */
const LEAP_SECOND = Date.UTC(2017, 0, 1) - 1 + 0.999;

t.test(
  'accepts RFC 3339 date-times and converts them to milliseconds and microseconds',
  async (t) => {
    const cases: [string, number][] = [
      ['1970-01-01T00:00:00Z', 0],
      ['1970-01-01t00:00:00z', 0],
      ['1970-01-01T00:00:00.123Z', 123],
      ['1970-01-01T00:00:00.123456Z', 123.456],
      ['1970-01-01T00:00:00.1234569Z', 123.456],
      ['1970-01-01T00:00:00.0000009Z', 0],
      ['1970-01-01 00:00:00Z', 0],
      ['1970-01-01 01:30:00.25+01:30', 250],
      ['1969-12-31T23:59:59.999900Z', -1 + 0.9],
      ['0001-01-01T00:00:00.0019Z', Date.UTC(401, 0, 1) - 146_097 * 86_400_000 + 1],
      ['1970-01-01T01:30:00+01:30', 0],
      ['1969-12-31T16:00:00-08:00', 0],
      ['1970-01-01T00:00:00-00:00', 0],
      ['2024-02-29T12:00:00Z', Date.UTC(2024, 1, 29, 12)],
      ['0000-01-01T00:00:00Z', EVENT_TIME_MS_MIN],
      ['9999-12-31T23:59:59Z', Date.UTC(9999, 11, 31, 23, 59, 59)],
      ['2016-12-31T23:59:60Z', LEAP_SECOND],
      ['2016-12-31T23:59:60.5Z', LEAP_SECOND],
      ['2017-01-01T05:29:60+05:30', LEAP_SECOND],
      ['2016-12-31T15:59:60-08:00', LEAP_SECOND],
    ];
    for (const [text, ms] of cases) {
      t.ok(isEventTime(text), text);
      t.equal(eventTimeMs(text), ms, text);
    }
  },
);

t.test('refuses what is not RFC 3339 with a zone', async (t) => {
  for (const text of [
    '',
    '2024-01-01',
    '2024-01-01T00:00:00',
    '2024-01-01  00:00:00Z',
    '2024-01-01_00:00:00Z',
    '0000-01-01T00:00:00+00:01',
    '2024-01-01T00:00Z',
    '2024-01-01T00:00:00+01',
    '2024-01-01T00:00:00+0100',
    '2024-01-01T00:00:00.Z',
    '2024-01-01T00:00:00,5Z',
    '2024-02-30T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '2024-13-01T00:00:00Z',
    '2024-01-01T24:00:00Z',
    '2024-01-01T00:60:00Z',
    '2024-01-01T00:00:61Z',
    '2024-01-01T12:00:60Z',
    '2024-01-01T00:00:00+24:00',
    '+2024-01-01T00:00:00Z',
    ' 2024-01-01T00:00:00Z',
    '2024-01-01T00:00:00Z\n',
    '٢٠٢٤-01-01T00:00:00Z',
  ]) {
    t.notOk(isEventTime(text), JSON.stringify(text));
  }
});

t.test('takes milliseconds as they are, and −0 as 0', async (t) => {
  t.equal(eventTimeMs(1700000000000), 1700000000000);
  t.ok(Object.is(eventTimeMs(-0), 0));
});

const seed = testSeed();

t.test(`every microsecond from 1691 to 2248 comes back as it was sent (seed ${seed})`, async () => {
  const edge = 2 ** 43 * 1000 - 1;
  const micros = fc.oneof(
    fc.integer({ min: 1000 - edge, max: edge }),
    fc.integer({ min: edge - 5000, max: edge }),
    fc.integer({ min: 1000 - edge, max: 5000 - edge }),
    fc.integer({ min: -5000, max: 5000 }),
  );
  const property = fc.property(micros, (n) => {
    const text = textOfMicros(n);
    const ms = eventTimeMs(text);
    if (Math.floor(ms) !== Math.floor(n / 1000)) throw new Error(`${text} became ${ms}`);
    const back = timeText(ms);
    const expected = n % 1000 === 0 ? text.replace(/000Z$/, 'Z') : text;
    if (back !== expected) throw new Error(`${text} came back as ${back}`);
    if (eventTimeMs(back) !== ms) throw new Error(`${back} is another time`);
    // The next one is later, so order is kept.
    if (n < edge && !(eventTimeMs(textOfMicros(n + 1)) > ms)) throw new Error(`order at ${text}`);
  });
  fc.assert(property, { seed, numRuns: 20_000 });
});

t.test(
  `outside of that, milliseconds do, and order holds at the edge (seed ${seed})`,
  async (t) => {
    const ms = fc.integer({ min: EVENT_TIME_MS_MIN, max: Date.UTC(9999, 11, 31) });
    const property = fc.property(ms, fc.nat({ max: 999 }), (whole, micros) => {
      const text = `${new Date(whole).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
      const kept = eventTimeMs(text);
      if (Math.floor(kept) !== whole) throw new Error(`${text} became ${kept}`);
      if (timeText(whole) !== new Date(whole).toISOString()) throw new Error(`${whole}`);
      if (Math.abs(whole) >= 2 ** 43 && kept !== whole) throw new Error(`${text} became ${kept}`);
    });
    fc.assert(property, { seed, numRuns: 20_000 });
    const edge = [
      '2248-09-26T15:10:22.207',
      '2248-09-26T15:10:22.207999',
      '2248-09-26T15:10:22.208',
    ];
    const times = edge.map((text) => eventTimeMs(`${text}Z`));
    t.strictSame(
      [...times].sort((a, b) => a - b),
      times,
    );
    t.equal(times[2], 2 ** 43);
  },
);

/** RFC 3339 with six digits, of microseconds since 1970. */
function textOfMicros(n: number): string {
  const ms = Math.floor(n / 1000);
  const micros = String(n - ms * 1000).padStart(3, '0');
  return `${new Date(ms).toISOString().slice(0, -1)}${micros}Z`;
}

const AHEAD = 'occurred_at must not be more than 5 minutes in the future;';
const MS_RULE = 'occurred_at must be integer milliseconds since 1970, and';

t.test('each malformed time gets the sentence for its own fault', async (t) => {
  const cases: [unknown, string][] = [
    ['2024-03-01T12:00:00', 'occurred_at has no zone; Z or an offset such as +01:00 must end it.'],
    [
      '2024-03-01 12:00:00.5',
      'occurred_at has no zone; Z or an offset such as +01:00 must end it.',
    ],
    ['2024-03-01T12:00Z', 'occurred_at must have seconds, with two digits, as hh:mm:ss.'],
    ['2024-03-01T12:00', 'occurred_at must have seconds, with two digits, as hh:mm:ss.'],
    ['2024-03-01T12:00:5Z', 'occurred_at must have seconds, with two digits, as hh:mm:ss.'],
    ['2024-13-01T12:00:00Z', 'occurred_at has the month 13; there are 01 to 12.'],
    ['2024-00-01T12:00:00Z', 'occurred_at has the month 00; there are 01 to 12.'],
    ['2023-02-29T12:00:00Z', 'occurred_at has the day 29; 2023-02 has 01 to 28.'],
    ['2024-02-30', 'occurred_at has the day 30; 2024-02 has 01 to 29.'],
    ['2024-03-00T12:00:00Z', 'occurred_at has the day 00; 2024-03 has 01 to 31.'],
    ['2024-03-01', 'occurred_at has no time of day, such as T12:00:00Z behind the date.'],
    ['2024-03-01_12:00:00Z', 'occurred_at must have a T or one space between date and time.'],
    ['2024-03-01  12:00:00Z', 'occurred_at must have its time of day as hh:mm:ss, with colons.'],
    ['2024-03-01T12.00.00Z', 'occurred_at must have its time of day as hh:mm:ss, with colons.'],
    ['2024-03-01T120000Z', 'occurred_at must have its time of day as hh:mm:ss, with colons.'],
    [
      '2024-03-01T24:00:00Z',
      'occurred_at has the hour 24; there are 00 to 23, and midnight is 00:00:00 of the next day.',
    ],
    ['2024-03-01T12:60:00Z', 'occurred_at has the minute 60; there are 00 to 59.'],
    ['2024-03-01T12:00:61Z', 'occurred_at has the second 61; there are 00 to 59.'],
    [
      '2024-03-01T12:00:60Z',
      'occurred_at has the second 60, and only 23:59:60 UTC can be a leap second.',
    ],
    [
      '2024-03-01T23:59:60+01:00',
      'occurred_at has the second 60, and only 23:59:60 UTC can be a leap second.',
    ],
    ['2024-03-01T12:00:00,5Z', 'occurred_at must have a point before the fraction, not a comma.'],
    ['2024-03-01T12:00:00.Z', 'occurred_at has a point without digits behind it.'],
    ...['+0100', '+01', ' +01:00', ' UTC', 'CET', 'Zz', '\u221201:00', '+01:00 '].map(
      (zone): [string, string] => [
        `2024-03-01 12:00:00${zone}`,
        zone.endsWith(' ')
          ? 'occurred_at must not have white space before or behind it.'
          : 'occurred_at must end with its zone as Z or ±hh:mm, such as +01:00.',
      ],
    ),
    ['2024-03-01T12:00:00+24:00', 'occurred_at has the zone +24:00; offsets go up to 23:59.'],
    ['2024-03-01T12:00:00-05:60', 'occurred_at has the zone -05:60; offsets go up to 23:59.'],
    [' 2024-03-01T12:00:00Z', 'occurred_at must not have white space before or behind it.'],
    ['2024-03-01T12:00:00Z\n', 'occurred_at must not have white space before or behind it.'],
    ['0000-01-01T00:00:00+00:01', 'occurred_at must not be before the year 0000.'],
    [EVENT_TIME_MS_MIN - 1, 'occurred_at must not be before the year 0000.'],
    ...['', 'now', '01.03.2024', '2024/03/01', '24-03-01T12:00:00Z', '10000-01-01T00:00:00Z'].map(
      (text): [string, string] => [text, EVENT_TIME_RULE],
    ),
    ...[null, true, {}, []].map((value): [unknown, string] => [value, EVENT_TIME_RULE]),
    [
      1709294400123.5,
      'occurred_at must be whole milliseconds where it is a number; finer times are sent as RFC 3339 text.',
    ],
    [
      '1709294400000',
      'occurred_at must be a number without quotes where it is milliseconds since 1970.',
    ],
    [
      '1709294400',
      'occurred_at must be a number without quotes where it is milliseconds since 1970, and ' +
        '1709294400 looks like seconds (2024-03-01T12:00:00.000Z).',
    ],
    [1709294400, `${MS_RULE} 1709294400 looks like seconds (2024-03-01T12:00:00.000Z).`],
    [1709294400.25, `${MS_RULE} 1709294400.25 looks like seconds (2024-03-01T12:00:00.250Z).`],
  ];
  for (const [value, sentence] of cases) {
    if (typeof value === 'string') t.notOk(isEventTime(value), value);
    t.equal(eventTimeFault(value), sentence, JSON.stringify(value));
  }
});

t.test(
  'says which unit a number in the far future looks like, else what this clock says',
  async (t) => {
    const now = Date.parse('2024-03-01T13:00:00.007Z');
    const cases: [number, string][] = [
      [
        1709294400123456,
        `${AHEAD} 1709294400123456 looks like microseconds (2024-03-01T12:00:00.123Z), and milliseconds are wanted.`,
      ],
      [
        1709294400123456800,
        `${AHEAD} 1709294400123456800 looks like nanoseconds (2024-03-01T12:00:00.123Z), and milliseconds are wanted.`,
      ],
      [now + 300_001, `${AHEAD} this service's clock says 2024-03-01T13:00:00.007Z.`],
      [1e300, `${AHEAD} this service's clock says 2024-03-01T13:00:00.007Z.`],
    ];
    for (const [ms, detail] of cases) {
      t.strictSame(futureFault(ms, now), { pointer: '/occurred_at', detail }, String(ms));
    }
  },
);

t.test('a URL says the same, and knows what becomes of a + in it', async (t) => {
  const cases: [string, number | string][] = [
    ['1709294400000', 1709294400000],
    ['-1', -1],
    ['2024-03-01T12:00:00.000001Z', 1709294400000.001],
    ['2024-03-01 12:00:00Z', 1709294400000],
    ['1709294400', eventTimeFault(1709294400)],
    ['1709294400.5', eventTimeFault(1709294400.5)],
    ['1709294400000.5', eventTimeFault(1709294400000.5)],
    ['2024-03-01T12:00:00', eventTimeFault('2024-03-01T12:00:00')],
    ['', EVENT_TIME_RULE],
    [
      '2024-03-01T12:00:00 01:00',
      'occurred_at must have the + of its zone percent-encoded, as %2B: a + in a URL is a space.',
    ],
  ];
  for (const [text, said] of cases) t.equal(queryTimeMs(text), said, text);
});
