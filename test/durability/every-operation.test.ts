/**
 * One fixed history, and at every single call of its second life every kind of fault: the call
 * fails once or for good, is cut short, or the process ends before or after it; then the process is
 * killed or power is lost. What was promised must be there each time, and the service start. That takes minutes
 * (`npm run test:durability`); the gate takes each EVERYth call, other ones for each kind of fault.
 */
import assert from 'node:assert/strict';
import t from 'tap';
import type { PlainEvent } from '../helpers/models/plain-event.ts';
import { Random } from '../helpers/models/random.ts';
import { ExpectedLog } from './expected-log.ts';
import { Ended, type Fault, FaultyProcess } from './faulty-files.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER, RecoveredState } from './recovered-state.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { SimulatedProcess } from './simulated-process.ts';

const FOREVER = Number.POSITIVE_INFINITY;
const GIVE_UP_AFTER_CALLS = 25;
const EVERY = Number(process.env.EVERY ?? 6);

const FAULTS: readonly Omit<Fault, 'from'>[] = [
  { kind: 'EIO', calls: 1 },
  { kind: 'EIO', calls: FOREVER },
  { kind: 'ENOSPC', calls: 1 },
  { kind: 'ENOSPC', calls: FOREVER },
  { kind: 'short', calls: FOREVER },
  { kind: 'end-before', calls: 1 },
  { kind: 'end-after', calls: 1 },
];

class FixedHistory {
  readonly #disk = new SimulatedDisk();
  readonly #expected = new ExpectedLog();
  readonly #random: Random;
  #timeMs = 1000;
  readonly #keyed: PlainEvent[] = [];

  constructor(seed: number) {
    this.#random = new Random(seed);
    for (const folder of ['/data', LOG_FOLDER, CHECKPOINT_FOLDER]) this.#disk.makeFolder(folder);
    for (const folder of ['/', '/data']) this.#disk.syncFolder(folder);
  }

  /** Returns how many calls the second life made; throws when a promise was broken. */
  run(fault: Fault | undefined, losesPower: boolean): number {
    this.#live([], (life) => this.#firstLife(life), false);
    const faults = fault === undefined ? [] : [fault];
    const calls = this.#live(faults, (life) => this.#fullLife(life), losesPower);
    this.#live([], (life) => this.#firstLife(life), true);
    assert.deepEqual(this.#disk.reliedOnFailed, []);
    const state = new RecoveredState(0);
    state.recover(this.#disk);
    this.#expected.check(state);
    return calls;
  }

  #live(
    faults: readonly Fault[],
    work: (life: SimulatedProcess) => void,
    losesPower: boolean,
  ): number {
    const process = new FaultyProcess(this.#disk, this.#random);
    process.faults = faults;
    const endless = faults.find(({ calls, kind }) => calls === FOREVER && kind !== 'short');
    const giveUpAt = (endless?.from ?? FOREVER) + GIVE_UP_AFTER_CALLS;
    const life: SimulatedProcess = new SimulatedProcess({
      process,
      expected: this.#expected,
      state: new RecoveredState(-3),
      segmentBytesMax: 700,
      retention: { bytes: 0 },
      nowMs: () => this.#timeMs++,
      meanwhile: () => {
        if (process.operations > giveUpAt) life.tellToStop();
      },
    });
    try {
      if (life.start()) work(life);
      else if (faults.length === 0) throw new Error('a start was refused by a disk without faults');
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
    }
    process.ended = true;
    life.close();
    if (losesPower) this.#disk.powerLoss(this.#random);
    else this.#disk.processEnds();
    return process.operations;
  }

  /** Two events, a checkpoint, one event; killed while one more is pending. */
  #firstLife(life: SimulatedProcess): void {
    this.#push(life, 2);
    life.commit();
    life.state.apply();
    life.checkpoint();
    this.#push(life, 1);
    life.commit();
    this.#push(life, 1);
  }

  /** Everything there is: rolls, a thread's death, idle moments, retention, a clean stop. */
  #fullLife(life: SimulatedProcess): void {
    for (let round = 0; round < 3; round++) {
      this.#push(life, 2);
      if (!life.commit()) return;
      if (!life.hasPending) life.idle();
      life.state.apply(1);
      if (round === 1) life.logThreadEndsIn = 4;
      this.#push(life, 1);
      if (!life.commit()) return;
      life.checkpoint();
    }
    this.#push(life, 2);
    if (!life.stop()) return;
    life.state.apply();
    life.checkpoint();
  }

  /** Fresh events into both rings in turn, every other one with a key; and one that came before. */
  #push(life: SimulatedProcess, events: number): void {
    for (let n = Math.min(events, life.room('live'), life.room('bulk')); n > 0; n--) {
      const event = {
        seq: 0,
        productId: `p${this.#timeMs % 5}`,
        price: this.#timeMs / 4,
        stock: this.#timeMs % 3 === 0 ? undefined : this.#timeMs,
        occurredAtMs: this.#timeMs++,
      };
      const isKeyed = n % 2 === 1;
      const pushed = isKeyed ? { ...event, key: `k${event.occurredAtMs}` } : event;
      life.push(pushed, event.occurredAtMs % 2 === 0 ? 'live' : 'bulk');
      if (isKeyed) this.#keyed.push(pushed);
    }
    const repeated = this.#keyed.at(-2);
    if (repeated !== undefined && life.room('bulk') > 0) life.push(repeated, 'bulk');
  }
}

t.test(`every fault at one call in ${EVERY} of one history`, (t) => {
  const calls = new FixedHistory(1).run(undefined, false);
  let runs = 0;
  for (const [f, fault] of FAULTS.entries()) {
    for (const losesPower of [false, true]) {
      const failed: string[] = [];
      const first = (2 * f + (losesPower ? 1 : 0)) % EVERY;
      for (let from = first; from < calls; from += EVERY) {
        runs++;
        try {
          new FixedHistory(from + 1).run({ ...fault, from }, losesPower);
        } catch (error) {
          failed.push(`at call ${from}: ${(error as Error).message}`);
        }
      }
      const times = fault.calls === FOREVER ? 'for good' : `${fault.calls} times`;
      t.same(failed, [], `${fault.kind} ${times}, then ${losesPower ? 'power loss' : 'a kill'}`);
    }
  }
  t.ok(calls > 150, `${calls} calls`);
  t.comment(`${runs} histories`);
  t.end();
});
