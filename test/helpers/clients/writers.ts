/**
 * Clients that write in closed loops, one connection and some products each, and keep the ledger:
 * no two events of one product are ever in flight together.
 */
import type { AckLedger } from './ack-ledger.ts';
import { ApiClient, codeOf, errorCode, seqOf } from './api-client.ts';

export interface WritersOptions {
  readonly port: number;
  readonly ledger: AckLedger;
  readonly connections: number;
  /** Products of each connection. */
  readonly products: number;
  /** Events of each connection at the most. */
  readonly eventsMax: number;
  /** Asked before each event. */
  readonly isOver?: () => boolean;
  /** Told after each acknowledgement. */
  readonly onAcknowledged?: () => void;
  /** Counted into meanwhile; a fresh one if there is none. */
  readonly tally?: Tally;
}

/**
 * Answers by status, with the problem's code (`202`, `503 queue-full`) and, if it is, an unknown
 * outcome (`503 storage-unavailable unknown`), and errors by name.
 */
export type Tally = Record<string, number>;

/** Writes until over, until the events are used up or, each by itself, until its connection fails. */
export async function write(options: WritersOptions): Promise<Tally> {
  const tally = options.tally ?? {};
  const lanes = Array.from({ length: options.connections }, (_, lane) =>
    writeLane(options, lane, tally),
  );
  await Promise.all(lanes);
  return tally;
}

async function writeLane(options: WritersOptions, lane: number, tally: Tally): Promise<void> {
  const { port, ledger, products, eventsMax } = options;
  const client = new ApiClient(port);
  try {
    for (let sent = 0; sent < eventsMax && options.isOver?.() !== true; sent++) {
      const event = ledger.attempt(`lane ${lane}/${sent % products}`);
      const outcome = await client.post(event).then(
        (answer) => {
          if (answer.status === 202) {
            ledger.acknowledged(event, seqOf(answer));
            options.onAcknowledged?.();
            return '202';
          }
          const outcome = `${answer.status} ${codeOf(answer)}`;
          if (answer.text.includes('"outcome":"unknown"')) return `${outcome} unknown`;
          ledger.refused(event);
          return outcome;
        },
        (error) => {
          const code = errorCode(error);
          // There was no connection that it could have been sent on.
          if (code === 'ECONNREFUSED') ledger.refused(event);
          return code;
        },
      );
      tally[outcome] = (tally[outcome] ?? 0) + 1;
      if (!/^\d{3}/.test(outcome)) return;
    }
  } finally {
    client.close();
  }
}

/** Reads every product of the ledger and returns what is wrong. */
export async function faultsOf(ledger: AckLedger, port: number): Promise<string[]> {
  const client = new ApiClient(port, 32);
  try {
    const found = await Promise.all(
      ledger.ids.map(async (id) => ledger.fault(id, await client.product(id))),
    );
    return found.filter((fault) => fault !== undefined);
  } finally {
    client.close();
  }
}
