/**
 * Writes what is generated from the routes' schemas: the API document `docs/openapi.json`, and the
 * types of the test's client from that. Run by `npm run docs:api` after a change of a route.
 */
import { writeFileSync } from 'node:fs';
import { apiDocument, clientTypes } from '../test/helpers/api/api-document.ts';

const text = await apiDocument();
writeFileSync(new URL('../docs/openapi.json', import.meta.url), text);
writeFileSync(new URL('../test/client/api.d.ts', import.meta.url), await clientTypes(text));
