/**
 * Products as reads answer with them: the schemas that describe them. `product-json.ts` writes them.
 */
import { Type } from '@sinclair/typebox';

export const productParams = Type.Object({
  id: Type.String({
    minLength: 1,
    description: 'Any id that can be posted, percent-encoded.',
    examples: ['abc123'],
  }),
});

const eventTime = (field: string) =>
  Type.Optional(
    Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
      description: `The event time that set the ${field} or deleted it; null while nothing has. With view=full.`,
    }),
  );

export const productSchema = Type.Object(
  {
    id: Type.String({ minLength: 1 }),
    price: Type.Union([Type.Number({ minimum: 0 }), Type.Null()], {
      description: 'null while absent: not set yet, or deleted.',
    }),
    stock: Type.Union(
      [
        Type.Integer({ minimum: -Number.MAX_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
        Type.Null(),
      ],
      {
        description:
          'null while absent: not set yet, or deleted. Below zero only where STOCK_MIN lets it in.',
      },
    ),
    seq: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'The event that last changed the product: its version, its ETag. With view=full.',
      }),
    ),
    price_at: eventTime('price'),
    stock_at: eventTime('stock'),
    updated_at: Type.Optional(
      Type.String({
        format: 'date-time',
        description:
          'When the event that last changed the product was made durable. With view=full.',
      }),
    ),
  },
  { $id: 'Product', additionalProperties: false, description: 'The current state of a product.' },
);

/** The answer to `?id=…`. */
export const productSelection = selectionOf('Product');
/** The same with `view=prior-price`. */
export const priorPriceSelection = selectionOf('PriorPrice');

/** The answer to `?limit=…&cursor=…`. */
export const productPage = pageOf('Product');
/** The same with `view=prior-price`. */
export const priorPricePage = pageOf('PriorPrice');

function selectionOf(itemRef: string) {
  return Type.Object(
    {
      products: Type.Array(Type.Ref(itemRef), {
        description: 'In the order asked for, each once.',
      }),
      missing: Type.Array(Type.String(), { description: 'Ids that are not listed, each once.' }),
    },
    { additionalProperties: false },
  );
}

function pageOf(itemRef: string) {
  return Type.Object(
    {
      products: Type.Array(Type.Ref(itemRef), {
        description: 'May be fewer than limit on any page.',
      }),
      next: Type.Union([Type.String(), Type.Null()], {
        description: 'The cursor of the next page; null after the last.',
      }),
    },
    { additionalProperties: false },
  );
}
