/**
 * Loaded before tap's own loader (`NODE_OPTIONS=--import=…`), in each process and thread of the tests: tap watches what
 * every one of them loads, also where nobody asks for coverage, and then a thread takes half as long again to start.
 */
import module from 'node:module';

module.registerHooks = () => ({ deregister: () => undefined });
