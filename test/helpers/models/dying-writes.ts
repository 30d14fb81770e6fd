/**
 * Death before the Nth write to shared memory, in this thread: typed arrays behind proxies, and
 * `Atomics.store` replaced for the time of a call. Whatever stood at that moment is what a
 * successor finds. Tests only.
 */

/** Thrown where the thread dies. */
export class Death extends Error {
  override readonly name = 'Death';
}

type Words = Int32Array<ArrayBufferLike>;

export class DyingWrites {
  readonly #targets = new WeakMap<object, Words>();
  #left = Number.POSITIVE_INFINITY;
  /** Writes done since the last `run` began. */
  count = 0;

  /** `array`, with every write counted. Atomics work on it within `run`. */
  watch<T extends Int32Array | Float64Array>(array: T): T {
    const step = () => this.#step();
    const proxy = new Proxy(array, {
      get: (target, key) => Reflect.get(target, key, target) as unknown,
      set: (target, key, value) => {
        step();
        return Reflect.set(target, key, value, target);
      },
    });
    this.#targets.set(proxy, array as unknown as Words);
    return proxy;
  }

  /** Runs `work`; dies before write number `at` (0 = the first). Returns whether it died. */
  run(at: number, work: () => void): boolean {
    const { load, store } = Atomics;
    const real = (array: object) => this.#targets.get(array) ?? (array as Words);
    const step = () => this.#step();
    this.count = 0;
    this.#left = at;
    Atomics.load = ((array: Words, index: number) =>
      load(real(array), index)) as typeof Atomics.load;
    Atomics.store = ((array: Words, index: number, value: number) => {
      step();
      return store(real(array), index, value);
    }) as typeof Atomics.store;
    try {
      work();
      return false;
    } catch (error) {
      if (error instanceof Death) return true;
      throw error;
    } finally {
      Atomics.load = load;
      Atomics.store = store;
      this.#left = Number.POSITIVE_INFINITY;
    }
  }

  #step(): void {
    if (this.count >= this.#left) throw new Death(`before write ${this.count}`);
    this.count++;
  }
}
