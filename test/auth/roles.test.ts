/** Where a token's role may stand, and what each may. */
import t from 'tap';
import { mayAs, ROLES } from '../../src/auth/identity.ts';
import { roleIn } from '../../src/auth/roles.ts';

t.test('the highest role counts, in an array or among words', (t) => {
  t.equal(roleIn({ roles: ['reader', 'admin', 'writer'] }, 'roles'), 'admin');
  t.equal(roleIn({ scope: 'openid writer reader' }, 'scope'), 'writer');
  t.equal(roleIn({ roles: 'reader' }, 'roles'), 'reader');
  t.end();
});

t.test('it may stand within objects, or under a name with dots of its own', (t) => {
  t.equal(roleIn({ realm_access: { roles: ['writer'] } }, 'realm_access.roles'), 'writer');
  t.equal(roleIn({ 'https://a.example/roles': ['reader'] }, 'https://a.example/roles'), 'reader');
  t.equal(roleIn({ 'a.b': ['reader'], a: { b: ['admin'] } }, 'a.b'), 'reader');
  t.end();
});

t.test('whatever else stands there gives no role', (t) => {
  const odd = [
    undefined,
    null,
    7,
    true,
    {},
    [],
    ['Admin', 'admins', ' admin'],
    [['admin']],
    'ADMIN',
    '',
  ];
  for (const roles of odd) t.equal(roleIn({ roles }, 'roles'), undefined, JSON.stringify(roles));
  t.equal(roleIn({}, 'roles'), undefined);
  t.equal(roleIn({ a: null }, 'a.b'), undefined);
  for (const path of ['__proto__', 'constructor.name', 'a.constructor.name', 'length']) {
    t.equal(roleIn({ a: ['admin'] }, path), undefined, path);
  }
  t.equal(roleIn({ a: { admin: true } }, 'a'), undefined);
  t.end();
});

t.test('each role may what those before it may', (t) => {
  const may = ROLES.map((role) => ROLES.map((least) => mayAs(role, least)));
  t.strictSame(may, [
    [true, false, false],
    [true, true, false],
    [true, true, true],
  ]);
  t.ok(ROLES.every((least) => !mayAs(undefined, least)));
  t.end();
});
