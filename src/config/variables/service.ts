/** Variables of the service as a whole: its folder, what its answers mean, what it says, how it ends. Pure data, any thread. */
import { boolean, choice, duration, HOUR_MS, integer, text } from '../variable.ts';

export const SERVICE = {
  dataDir: text({
    env: 'DATA_DIR',
    defaultText: './data',
    // What a shell would have replaced or taken away is a folder of that name to everybody else.
    pattern: '^(?![~"\'`]|.*\\$[{(])[^\\u0000-\\u001f]{1,4096}$',
    allowedText: 'a path, written out (a shell replaces ~, quotes and $, the service does not)',
    description: 'Folder of the log; held by one process at a time',
  }),
  ackDefault: choice(['accepted', 'durable', 'applied'], {
    env: 'ACK',
    defaultText: 'durable',
    description:
      'When a POST is answered if it does not say: accepted (in memory), durable (flushed to disk) or applied (durable, and every read shows it)',
  }),
  stockMin: integer({
    env: 'STOCK_MIN',
    defaultText: '0',
    minimum: -Number.MAX_SAFE_INTEGER,
    maximum: 0,
    description:
      'The least stock that an event may set; below zero where a shop has backorders or oversells',
  }),
  logLevel: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    env: 'LOG_LEVEL',
    defaultText: 'info',
    description: 'The least severe lines that are logged',
  }),
  isMetered: boolean({
    env: 'METRICS',
    defaultText: 'true',
    description:
      'Whether requests and the ages of events are counted, and /metrics shows them and all else',
  }),
  shutdownTimeoutMs: duration({
    env: 'SHUTDOWN_TIMEOUT',
    defaultText: '10s',
    minimum: 100,
    maximum: HOUR_MS,
    description:
      'Time from the signal to stop (SIGTERM, SIGINT, SIGQUIT, SIGUSR2) to the exit, at most',
  }),
  drainDelayMs: duration({
    env: 'DRAIN_DELAY',
    defaultText: '0s',
    minimum: 0,
    maximum: HOUR_MS,
    description:
      'How long the service still serves after the signal, with /readyz red, so that load balancers turn away first; less than SHUTDOWN_TIMEOUT',
  }),
};
