/** Every schema that the service compiles is valid: it does not ask the meta-schema by itself. */
import { Ajv } from 'ajv';
import t from 'tap';
import { ajv, ajvOptions } from '../../src/event/ajv.ts';

const compiled: object[] = [];
const { compile } = ajv;
// Before anything that compiles is loaded.
ajv.compile = (schema: object, ...rest: []) => {
  compiled.push(schema);
  return compile.call(ajv, schema, ...rest) as never;
};
const { fakeApp } = await import('../helpers/fakes/http-fakes.ts');

t.test('the schemas that are run', async (t) => {
  const { app } = fakeApp();
  t.teardown(() => app.close());
  await app.ready();
  const meta = new Ajv({ ...ajvOptions.customOptions, validateSchema: true });
  t.ok(compiled.length >= 8, `${compiled.length} schemas`);
  for (const schema of compiled) {
    t.ok(meta.validateSchema(schema), JSON.stringify(meta.errors));
  }
  t.notOk(meta.validateSchema({ type: 'text' }), 'and others would be found');
});
