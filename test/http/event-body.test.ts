/**
 * Which bodies `POST /api/v1/events` takes, and what it says of the others. (Over 300 lines: one list of faults, each
 * told by the same few lines at its top.)
 */
import t, { type Test } from 'tap';
import { FAULTS_LISTED_MAX } from '../../src/event/event-faults.ts';
import { fakeApp, TEST_LIMITS } from '../helpers/fakes/http-fakes.ts';

const VALID = { product_id: 'p', price: 1.5, stock: 2 };

function setup(t: Test) {
  const fakes = fakeApp();
  t.teardown(() => fakes.app.close());
  const post = (payload: string | Buffer, headers: Record<string, string> = {}) =>
    fakes.app.inject({
      method: 'POST',
      url: '/api/v1/events',
      payload,
      headers: { 'content-type': 'application/json', ...headers },
    });
  return { ...fakes, post };
}

/** Posts `text` and returns its faults as `pointer: detail`, after checking the frame. */
async function faultsOf(
  t: Test,
  { post, intake }: ReturnType<typeof setup>,
  text: string,
): Promise<string[]> {
  const offersBefore = intake.offers.length;
  const response = await post(text);
  t.equal(response.statusCode, 400, text.slice(0, 100));
  t.equal(response.headers['content-type'], 'application/problem+json');
  t.equal(intake.offers.length, offersBefore, 'nothing is offered');
  const problem = response.json();
  t.equal(problem.code, 'invalid-event');
  return problem.errors.map(
    (e: { pointer: string; detail: string }) => `${e.pointer}: ${e.detail}`,
  );
}

t.test('offers a valid event as it was sent', async (t) => {
  const { post, intake } = setup(t);
  const events: [string, unknown][] = [
    [
      '{"product_id":"p","price":49.99,"stock":100}',
      { productId: 'p', price: 49.99, stock: 100, occurredAtMs: undefined },
    ],
    [
      '{"product_id":"p","price":0,"stock":9007199254740991,"occurred_at":1700000000000}',
      { productId: 'p', price: 0, stock: Number.MAX_SAFE_INTEGER, occurredAtMs: 1700000000000 },
    ],
    [
      '{"product_id":"😀/..","price":1e300,"stock":1e3,"occurred_at":"1970-01-01T00:00:01+00:00"}',
      { productId: '😀/..', price: 1e300, stock: 1000, occurredAtMs: 1000 },
    ],
    [
      '{"product_id":"__proto__","price":1,"stock":1.0,"occurred_at":-5}',
      { productId: '__proto__', price: 1, stock: 1, occurredAtMs: -5 },
    ],
    [
      '{"product_id":"a:1,e5","price":49.990000000000002,"stock":0e999,"occurred_at":1.7e12}',
      { productId: 'a:1,e5', price: 49.99, stock: 0, occurredAtMs: 1700000000000 },
    ],
    [
      '{"product_id":"\\"price\\":","price":0.00000000000000000000,"stock":100000000000000000000e-20}',
      { productId: '"price":', price: 0, stock: 1, occurredAtMs: undefined },
    ],
  ];
  for (const [text, event] of events) {
    t.equal((await post(text)).statusCode, 202, text);
    t.strictSame(intake.offers.at(-1)?.event, event, text);
  }
});

t.test(
  'a number that can not be kept exactly, or a member that stands twice, is refused',
  async (t) => {
    const fakes = setup(t);
    const patch = async (text: string) => {
      const response = await fakes.app.inject({
        method: 'PATCH',
        url: '/api/v1/products/p',
        payload: text,
        headers: { 'content-type': 'application/json' },
      });
      t.equal(response.statusCode, 400, text);
      return response
        .json()
        .errors.map((e: { pointer: string; detail: string }) => `${e.pointer}: ${e.detail}`);
    };
    const max = Number.MAX_SAFE_INTEGER;
    const hint = 'Numbers of up to 15 digits always can.';
    for (const [members, faults] of [
      [
        '"price":9007199254740993,"stock":1',
        [
          `/price: price can not be kept exactly: 9007199254740993 would become 9007199254740992. ${hint}`,
        ],
      ],
      [
        '"price":9999999999999999.01 ,"stock":1e-400',
        [
          `/price: price can not be kept exactly: 9999999999999999.01 would become 10000000000000000. ${hint}`,
          '/stock: stock can not be kept exactly: 1e-400 would become 0.',
        ],
      ],
      [
        '"stock":9007199254740993,"price":1',
        [`/stock: stock must be an integer from 0 to ${max}.`],
      ],
      ['"price":1e400,"stock":1', ['/price: price must be a finite number, 0 or more.']],
      [
        '"price":1,"stock":1,"occurred_at":1700000000000.00001',
        [
          `/occurred_at: occurred_at can not be kept exactly: 1700000000000.00001 would become 1700000000000. ${hint}`,
        ],
      ],
      ['"price":1,"price":2,"stock":1', ['/price: price stands more than once in the object.']],
      [
        '"price":1,"pr\\u0069ce":-1,"stock":1.5, "price" : 1e-400',
        [
          '/stock: stock must be an integer from 0 to 9007199254740991.',
          '/price: price stands more than once in the object.',
        ],
      ],
      [
        '"price":1,"stock":1,"event_id":"a","event_id":"b"',
        ['/event_id: event_id stands more than once in the object.'],
      ],
      [
        '"price":1,"stock":{"stock":[1,{"stock":"}"}]},"stock":2',
        ['/stock: stock stands more than once in the object.'],
      ],
    ] as const) {
      const text = `{"product_id":"p",${members}}`;
      t.strictSame(await faultsOf(t, fakes, text), faults, text);
      t.strictSame(await patch(`{${members}}`), faults, members);
    }
    const twice = '{"product_id":"first","price":1,"stock":1,"product_id":"last"}';
    const faults = ['/product_id: product_id stands more than once in the object.'];
    t.strictSame(await faultsOf(t, fakes, twice), faults);
    t.equal(fakes.intake.offers.length, 0);
  },
);

t.test('turns −0 into 0', async (t) => {
  const { post, intake } = setup(t);
  await post('{"product_id":"p","price":-0,"stock":-0.0,"occurred_at":-0}');
  const event = intake.offers[0].event;
  t.ok(Object.is(event.price, 0));
  t.ok(Object.is(event.stock, 0));
  t.ok(Object.is(event.occurredAtMs, 0));
});

t.test('refuses wrong values of each member, each with one entry', async (t) => {
  const fakes = setup(t);
  const wrong: Record<string, string[]> = {
    product_id: ['1', 'null', 'true', '{}', '["p"]', '""', '"a\\u0000"', '"\\ud800"'],
    price: ['"49.99"', 'null', 'true', '[1]', '-0.01', '1e400', '-1e400', '{}'],
    stock: ['"1"', 'null', 'false', '1.5', '-1', '-1.5', '9007199254740992', '1e400', '[]'],
    occurred_at: ['null', 'true', '1.5', '"now"', '"1700000000000"', '{}', '1e400', '-1e15'],
  };
  for (const [member, values] of Object.entries(wrong)) {
    const others = { ...VALID, [member]: undefined };
    for (const value of values) {
      const text = JSON.stringify(others).replace('{', `{"${member}":${value},`);
      const faults = await faultsOf(t, fakes, text);
      t.equal(faults.length, 1, `${member}: ${value}`);
      t.match(faults[0], new RegExp(`^/${member}: ${member} must .+\\.$`));
    }
  }
});

t.test('refuses an id of more than 64 bytes and takes one of 64', async (t) => {
  const fakes = setup(t);
  const text = (id: string) => JSON.stringify({ ...VALID, product_id: id });
  t.equal((await fakes.post(text('😀'.repeat(16)))).statusCode, 202);
  t.match(await faultsOf(t, fakes, text(`${'😀'.repeat(16)}a`)), [/^\/product_id: .*64 bytes/]);
});

t.test('says which members are missing', async (t) => {
  t.strictSame(await faultsOf(t, setup(t), '{}'), [
    '/product_id: product_id is missing.',
    '/price: price is missing.',
    '/stock: stock is missing.',
  ]);
});

t.test('refuses unknown members, also those that JavaScript treats specially', async (t) => {
  const fakes = setup(t);
  for (const name of ['extra', '__proto__', 'constructor', 'toString', 'Price']) {
    for (const value of ['1', '{"price":1}', 'null']) {
      const text = JSON.stringify(VALID).replace('{', `{"${name}":${value},`);
      t.strictSame(await faultsOf(t, fakes, text), [`/${name}: This member is unknown.`]);
    }
  }
  const prototype: Record<string, unknown> = Object.getPrototypeOf({});
  t.equal(prototype.price, undefined, 'no prototype was touched');
});

t.test('does not take members out of a __proto__', async (t) => {
  const faults = await faultsOf(t, setup(t), `{"__proto__":${JSON.stringify(VALID)}}`);
  t.strictSame(
    new Set(faults.map((fault) => fault.split(':')[0])),
    new Set(['/__proto__', '/product_id', '/price', '/stock']),
  );
});

t.test('points with RFC 6901 escapes', async (t) => {
  const text = JSON.stringify({ ...VALID, 'a/b~c': 1 });
  t.strictSame(await faultsOf(t, setup(t), text), ['/a~1b~0c: This member is unknown.']);
});

const AHEAD =
  /^\/occurred_at: occurred_at must not be more than 5 minutes in the future; this service's clock says 20[-\dT:.]+Z\.$/;

t.test('lists every fault of a body at once, the future time included', async (t) => {
  const ahead = Date.now() + 3_600_000;
  const text = `{"product_id":"\\u0001\\udfff","price":"1","x":1,"occurred_at":${ahead}}`;
  const faults = await faultsOf(t, setup(t), text);
  t.match(faults.sort(), [
    AHEAD,
    '/price: price must be a finite number, 0 or more.',
    '/product_id: product_id must not contain control characters.',
    '/product_id: product_id must not contain lone surrogates.',
    '/stock: stock is missing.',
    '/x: This member is unknown.',
  ]);
});

t.test('counts faults past the hundredth instead of listing them', async (t) => {
  const unknown = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`u${i}`, i]));
  const faults = await faultsOf(t, setup(t), JSON.stringify({ ...VALID, ...unknown }));
  t.equal(faults.length, FAULTS_LISTED_MAX + 1);
  t.equal(faults.at(-1), ': 150 more faults are not listed.');
});

t.test('refuses a time more than 5 minutes ahead, in both forms, and takes one less', async (t) => {
  const fakes = setup(t);
  const text = (occurred_at: unknown) => JSON.stringify({ ...VALID, occurred_at });
  const near = Date.now() + 290_000;
  const far = Date.now() + 330_000;
  t.equal((await fakes.post(text(near))).statusCode, 202);
  t.equal((await fakes.post(text(new Date(near).toISOString()))).statusCode, 202);
  for (const at of [far, new Date(far).toISOString(), 1e300]) {
    const faults = await faultsOf(t, fakes, text(at));
    t.equal(faults.length, 1);
    t.match(faults[0], AHEAD, String(at));
  }
});

t.test('refuses JSON that is no object', async (t) => {
  const fakes = setup(t);
  for (const text of ['null', '1', '"x"', 'true', '[]', `[${JSON.stringify(VALID)}]`]) {
    t.strictSame(await faultsOf(t, fakes, text), [': The body must be a JSON object.']);
  }
});

t.test('refuses what is not JSON, says where, and quotes nothing', async (t) => {
  const { post, intake } = setup(t);
  for (const [text, where] of [
    ['{"a":secret}', /^The body is not valid JSON/],
    ['{"a":1}x', /at character 7,/],
    ['{"product_id":"p"', /ends too early/],
    ['\ufeff\ufeff{}', /^The body is not valid JSON/],
    [' \ufeff{}', /^The body is not valid JSON/],
    ['\ufeff{"a":1', /ends too early/],
    [' ', /ends too early/],
    ["{'a':1}", /at character 1,/],
    ['{"a":1,}', /at character 7,/],
  ] as [string, RegExp][]) {
    const response = await post(text);
    t.equal(response.statusCode, 400, text);
    t.equal(response.json().code, 'invalid-json', text);
    t.match(response.json().detail, where, text);
    t.notMatch(response.body, /secret|Unexpected|token/);
  }
  t.equal(intake.offers.length, 0);
});

t.test('passes over a byte order mark before the event', async (t) => {
  const { post, intake } = setup(t);
  t.equal((await post(`\ufeff${JSON.stringify(VALID)}`)).statusCode, 202);
  t.match(intake.offers.at(-1)?.event, { productId: 'p', price: 1.5, stock: 2 });
  t.equal((await post('\ufeff')).json().code, 'empty-body');
  t.equal(intake.offers.length, 1);
});

t.test('refuses bodies that are not UTF-8', async (t) => {
  const { post } = setup(t);
  for (const bytes of [
    Buffer.concat([Buffer.from('{"product_id":"'), Buffer.from([0xff]), Buffer.from('"}')]),
    Buffer.from([0xed, 0xa0, 0x80]), // a surrogate, encoded
    Buffer.from([0xc0, 0x80]), // an overlong NUL
  ]) {
    const response = await post(bytes);
    t.equal(response.statusCode, 400);
    t.equal(response.json().code, 'invalid-encoding');
  }
});

t.test('refuses empty bodies', async (t) => {
  const { app, post } = setup(t);
  t.equal((await post('')).json().code, 'empty-body');
  const bare = await app.inject({ method: 'POST', url: '/api/v1/events' });
  t.equal(bare.statusCode, 400);
  t.equal(bare.json().code, 'empty-body');
});

t.test('takes application/json in UTF-8 only', async (t) => {
  const { post, intake } = setup(t);
  const text = JSON.stringify(VALID);
  for (const type of [
    'application/json; charset=utf-8',
    'Application/JSON;charset="UTF-8"',
    'application/json; charset=UTF8; profile=x',
    'application/json;',
  ]) {
    t.equal((await post(text, { 'content-type': type })).statusCode, 202, type);
  }
  const taken = intake.offers.length;
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'application/json5',
    'application/vnd.api+json',
    'application/problem+json',
    'application/json, text/plain',
    'application/json/x',
    'application /json',
    'json',
    '*/*',
    'application/json; charset=latin1',
    'application/json; charset=utf-16; charset=utf-8',
    "application/json; charset='utf-8'",
  ]) {
    const response = await post(text, { 'content-type': type });
    t.equal(response.statusCode, 415, type);
    t.equal(response.json().code, 'unsupported-media-type', type);
  }
  t.equal(intake.offers.length, taken);
});

t.test('refuses a body without a content type', async (t) => {
  const { app } = setup(t);
  const response = await app.inject({
    method: 'POST',
    url: '/api/v1/events',
    payload: Buffer.from(JSON.stringify(VALID)),
  });
  t.equal(response.statusCode, 415);
  t.equal(response.json().code, 'unsupported-media-type');
});

t.test('refuses a content encoding other than identity', async (t) => {
  const { post } = setup(t);
  const text = JSON.stringify(VALID);
  t.equal((await post(text, { 'content-encoding': 'identity' })).statusCode, 202);
  for (const encoding of ['gzip', 'br', 'identity, gzip', 'x']) {
    t.equal((await post(text, { 'content-encoding': encoding })).statusCode, 415, encoding);
  }
});

t.test('takes a body of the limit and refuses one byte more', async (t) => {
  const { app } = fakeApp({ limits: { ...TEST_LIMITS, bodyBytesMax: 100 } });
  t.teardown(() => app.close());
  const post = (payload: string) =>
    app.inject({
      method: 'POST',
      url: '/api/v1/events',
      payload,
      headers: { 'content-type': 'application/json' },
    });
  const text = JSON.stringify(VALID);
  t.equal((await post(text.padEnd(100))).statusCode, 202);
  const response = await post(text.padEnd(101));
  t.equal(response.statusCode, 413);
  t.equal(response.json().code, 'body-too-large');
});
