/**
 * What is needed of `node:http` at run time; the one place that asks for it. Main thread.
 *
 * Not by `import`: that makes a name of everything the module has, and reading one of them
 * (`WebSocket`) loads undici, for 70 of the 80 ms of CPU that the import takes.
 */
export const { createServer, STATUS_CODES, IncomingMessage, ServerResponse } =
  process.getBuiltinModule('node:http');
