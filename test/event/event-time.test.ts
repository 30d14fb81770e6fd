/** The two forms of occurred_at, one by one. */
import t from 'tap';
import { EVENT_TIME_MS_MIN, eventTimeMs, isEventTime } from '../../src/event/event-time.ts';

t.test('accepts RFC 3339 date-times and converts them to whole milliseconds', async (t) => {
  const cases: [string, number][] = [
    ['1970-01-01T00:00:00Z', 0],
    ['1970-01-01t00:00:00z', 0],
    ['1970-01-01T00:00:00.123Z', 123],
    ['1970-01-01T00:00:00.1239999Z', 123],
    ['1970-01-01T01:30:00+01:30', 0],
    ['1969-12-31T16:00:00-08:00', 0],
    ['1970-01-01T00:00:00-00:00', 0],
    ['2024-02-29T12:00:00Z', Date.UTC(2024, 1, 29, 12)],
    ['0000-01-01T00:00:00Z', EVENT_TIME_MS_MIN],
    ['9999-12-31T23:59:59Z', Date.UTC(9999, 11, 31, 23, 59, 59)],
    ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
    ['2016-12-31T23:59:60.5Z', Date.UTC(2017, 0, 1) + 500],
    ['2017-01-01T05:29:60+05:30', Date.UTC(2017, 0, 1)],
    ['2016-12-31T15:59:60-08:00', Date.UTC(2017, 0, 1)],
  ];
  for (const [text, ms] of cases) {
    t.ok(isEventTime(text), text);
    t.equal(eventTimeMs(text), ms, text);
  }
});

t.test('refuses what is not RFC 3339 with a zone', async (t) => {
  for (const text of [
    '',
    '2024-01-01',
    '2024-01-01T00:00:00',
    '2024-01-01 00:00:00Z',
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
