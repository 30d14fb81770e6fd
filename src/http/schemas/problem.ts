/**
 * Problem details as the OpenAPI document shows them: one shared schema, and for each route the
 * codes it can answer with, grouped by status. Main thread, constants only; derived from the
 * registry in `src/errors/problems.ts`, so that no status is written twice.
 */
import { type TSchema, Type } from '@sinclair/typebox';
import { PROBLEMS, type ProblemCode } from '../../errors/problems.ts';

/** RFC 9457; registered with the app under its `$id`, and shared by every route. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'A URN that ends in the code.' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String(),
    instance: Type.String({ description: 'The id of the request.' }),
    code: Type.String({ enum: Object.keys(PROBLEMS) }),
    outcome: Type.Optional(Type.String({ enum: ['none', 'unknown'] })),
    errors: Type.Optional(
      Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() })),
    ),
  },
  { $id: 'Problem', description: 'Problem details (RFC 9457).' },
);

export interface ProblemResponse {
  readonly description: string;
  readonly content: { readonly 'application/problem+json': { readonly schema: TSchema } };
}

/** The responses of a route that can answer with `codes`, by status. */
export function problemResponses(
  ...codes: readonly ProblemCode[]
): Record<number, ProblemResponse> {
  const byStatus = Map.groupBy(codes, (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [status, problemResponse(group)]),
  );
}

function problemResponse(codes: readonly ProblemCode[]): ProblemResponse {
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].detail}`).join(' '),
    content: { 'application/problem+json': { schema: Type.Ref('Problem') } },
  };
}
