/**
 * A profile in pprof's format (github.com/google/pprof, proto/profile.proto), gzipped as its tools
 * expect it. Samples of all threads are in one; the label `thread` tells them apart. Pure, any thread.
 */
import { gzipSync } from 'node:zlib';
import { MessageWriter } from './protobuf.ts';

/** What a sample counts: `['cpu', 'nanoseconds']`. */
export type ValueType = readonly [type: string, unit: string];

/** One frame of a stack. */
export interface Frame {
  readonly name: string;
  /** Path, or whatever says where it is; may be empty. */
  readonly file: string;
  /** Where the function begins, from 1; 0 = not known. */
  readonly line: number;
}

export interface ProfileOptions {
  /** In the order of a sample's values; the last one is shown unless another is asked for. */
  readonly sampleTypes: readonly ValueType[];
  readonly period: { readonly type: ValueType; readonly value: number };
  /** When it began, ms since the epoch, and how long it took. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly comments: readonly string[];
}

/** Numbers of fields, as profile.proto has them. */
const PROFILE = {
  sampleType: 1,
  sample: 2,
  location: 4,
  function: 5,
  stringTable: 6,
  timeNanos: 9,
  durationNanos: 10,
  periodType: 11,
  period: 12,
  comment: 13,
} as const;
const VALUE_TYPE = { type: 1, unit: 2 } as const;
const SAMPLE = { locationId: 1, value: 2, label: 3 } as const;
const LABEL = { key: 1, str: 2 } as const;
const LOCATION = { id: 1, line: 4 } as const;
const LINE = { functionId: 1, line: 2 } as const;
const FUNCTION = { id: 1, name: 2, systemName: 3, filename: 4, startLine: 5 } as const;

const NS_PER_MS = 1e6;

export class PprofBuilder {
  readonly #message = new MessageWriter();
  readonly #strings = new Map<string, number>([['', 0]]);
  /** Location, which is a function here too, by its text. */
  readonly #locations = new Map<string, number>();
  readonly #threadKey = this.#string('thread');

  constructor(options: ProfileOptions) {
    const { sampleTypes, period, startMs, durationMs, comments } = options;
    for (const type of sampleTypes) this.#valueType(PROFILE.sampleType, type);
    this.#message.integer(PROFILE.timeNanos, Math.round(startMs) * NS_PER_MS);
    this.#message.integer(PROFILE.durationNanos, Math.round(durationMs * NS_PER_MS));
    this.#valueType(PROFILE.periodType, period.type);
    this.#message.integer(PROFILE.period, period.value);
    for (const comment of comments) this.#message.integer(PROFILE.comment, this.#string(comment));
  }

  /** `stack`: the leaf first. `values`: whole, one for each sample type. */
  add(thread: string, stack: readonly Frame[], values: readonly number[]): void {
    const locations = stack.map((frame) => this.#location(frame));
    const name = this.#string(thread);
    this.#message.message(PROFILE.sample, (sample) => {
      sample.integers(SAMPLE.locationId, locations);
      sample.integers(SAMPLE.value, values);
      sample.message(SAMPLE.label, (label) => {
        label.integer(LABEL.key, this.#threadKey);
        label.integer(LABEL.str, name);
      });
    });
  }

  /** The whole file. Add nothing after it. */
  gzipped(): Uint8Array {
    for (const text of this.#strings.keys()) this.#message.text(PROFILE.stringTable, text);
    return gzipSync(this.#message.bytes);
  }

  #valueType(field: number, [type, unit]: ValueType): void {
    const [typeAt, unitAt] = [this.#string(type), this.#string(unit)];
    this.#message.message(field, (value) => {
      value.integer(VALUE_TYPE.type, typeAt);
      value.integer(VALUE_TYPE.unit, unitAt);
    });
  }

  #location({ name, file, line }: Frame): number {
    const key = `${name}\n${file}\n${line}`;
    const known = this.#locations.get(key);
    if (known !== undefined) return known;
    const id = this.#locations.size + 1;
    this.#locations.set(key, id);
    const [nameAt, fileAt] = [this.#string(name), this.#string(file)];
    this.#message.message(PROFILE.function, (fn) => {
      fn.integer(FUNCTION.id, id);
      fn.integer(FUNCTION.name, nameAt);
      fn.integer(FUNCTION.systemName, nameAt);
      fn.integer(FUNCTION.filename, fileAt);
      fn.integer(FUNCTION.startLine, line);
    });
    this.#message.message(PROFILE.location, (location) => {
      location.integer(LOCATION.id, id);
      location.message(LOCATION.line, (at) => {
        at.integer(LINE.functionId, id);
        at.integer(LINE.line, line);
      });
    });
    return id;
  }

  #string(text: string): number {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    const at = this.#strings.size;
    this.#strings.set(text, at);
    return at;
  }
}
