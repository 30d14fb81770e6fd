/**
 * What is no route: unknown paths answer 404, known paths with another method 405 and `Allow`,
 * both before any body is read or judged. Main thread. Watches the routes as they are added, so
 * there is no second list of them.
 */
import { METHODS } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import { sendProblem } from './respond.ts';

/** Starts watching `app`; call before the first route. Returns the step that closes the gaps. */
export function watchRoutes(app: FastifyInstance): () => void {
  const urls = new Set<string>();
  app.addHook('onRoute', ({ url }) => {
    urls.add(url);
  });
  return () => {
    addEveryMethod(app);
    for (const url of [...urls]) refuseOtherMethods(app, url);
    app.setNotFoundHandler(sendRouteNotFound);
  };
}

export function sendRouteNotFound(_request: FastifyRequest, reply: FastifyReply): void {
  sendProblem(reply, 'route-not-found');
}

/** Fastify knows some of the methods only, and would send the others to the 404. */
function addEveryMethod(app: FastifyInstance): void {
  for (const method of METHODS) {
    if (!app.supportedMethods.includes(method as HTTPMethods)) app.addHttpMethod(method);
  }
}

function refuseOtherMethods(app: FastifyInstance, url: string): void {
  // Asked of the router: the hook does not hear of every method of a plugin's routes.
  const isTaken = (method: string) => app.hasRoute({ url, method: method as HTTPMethods });
  const allow = app.supportedMethods.filter(isTaken).sort().join(', ');
  const refuse = (_request: FastifyRequest, reply: FastifyReply): void => {
    reply.header('allow', allow);
    sendProblem(reply, 'method-not-allowed');
  };
  app.route({
    method: app.supportedMethods.filter((method) => !isTaken(method)),
    url,
    schema: { hide: true }, // no operation of the API
    onRequest: refuse, // before the body is parsed, which could answer 415
    handler: refuse,
  });
}
