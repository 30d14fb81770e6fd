/**
 * What the HTTP bench measures the service against: the same API in the fewest lines, kept in a Map
 * and lost with the process. Fastify at its best: compiled validation and serialisation, no logger,
 * no hooks. A process of its own; says where it listens and ends on SIGTERM.
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import Fastify from 'fastify';
import { ajvOptions } from '../../src/event/ajv.ts';
import type { FullEvent } from '../../src/event/product-event.ts';
import { productEventBody, toProductEvent } from '../../src/event/product-event-body.ts';

const accepted = Type.Object({ status: Type.String(), product_id: Type.String() });
const product = Type.Object({ id: Type.String(), price: Type.Number(), stock: Type.Integer() });
const missing = Type.Object({ title: Type.String() });
const productParams = Type.Object({ id: Type.String() });

const products = new Map<string, FullEvent>();
const app = Fastify({ ajv: ajvOptions }).withTypeProvider<TypeBoxTypeProvider>();

app.post(
  '/api/v1/events',
  { schema: { body: productEventBody(0), response: { 202: accepted } } },
  (request, reply) => {
    const event = toProductEvent(request.body);
    products.set(event.productId, event);
    reply.code(202).send({ status: 'accepted', product_id: event.productId });
  },
);

app.get(
  '/api/v1/products/:id',
  { schema: { params: productParams, response: { 200: product, 404: missing } } },
  (request, reply) => {
    const { id } = request.params;
    const found = products.get(id);
    if (found === undefined) reply.code(404).send({ title: 'not found' });
    else reply.send({ id, price: found.price, stock: found.stock });
  },
);

process.once('SIGTERM', () => process.exit(0));
console.log(`ready on ${await app.listen({ host: '127.0.0.1', port: 0 })}`);
