/**
 * Reads a file of pprof's format with a decoder of its own, from profile.proto and not from the code that
 * writes it, so that tests see what a tool would see.
 */
import { gunzipSync } from 'node:zlib';
import { bytesIn, type Fields, fieldsOf, numberIn, packedIn } from './protobuf.ts';

export interface ReadSample {
  /** Names of functions, the leaf first. */
  readonly stack: readonly string[];
  readonly files: readonly string[];
  readonly lines: readonly number[];
  readonly values: readonly number[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface ReadProfile {
  readonly sampleTypes: readonly string[];
  readonly periodType: string;
  readonly period: number;
  readonly timeNanos: number;
  readonly durationNanos: number;
  readonly comments: readonly string[];
  readonly samples: readonly ReadSample[];
}

export function readPprof(file: Uint8Array): ReadProfile {
  const profile = fieldsOf(gunzipSync(file));
  const strings = bytesIn(profile, 6).map((bytes) => bytes.toString());
  if (strings[0] !== '') throw new Error('the first string must be empty');
  const stringAt = (at: number) => {
    const text = strings[at];
    if (text === undefined) throw new Error(`no string ${at}`);
    return text;
  };
  const typeOf = (bytes: Buffer) => {
    const type = fieldsOf(bytes);
    return `${stringAt(numberIn(type, 1))}/${stringAt(numberIn(type, 2))}`;
  };
  const byId = (field: number) =>
    new Map(
      bytesIn(profile, field).map((bytes) => [numberIn(fieldsOf(bytes), 1), fieldsOf(bytes)]),
    );
  const functions = byId(5);
  const locations = byId(4);
  const frames = (sample: Fields) =>
    packedIn(sample, 1).map((id) => {
      const [line] = bytesIn(must(locations.get(id), `location ${id}`), 4).map(fieldsOf);
      const { 0: fn } = [must(functions.get(numberIn(must(line, 'a line'), 1)), 'its function')];
      return {
        name: stringAt(numberIn(fn, 2)),
        file: stringAt(numberIn(fn, 4)),
        line: numberIn(must(line, 'a line'), 2),
      };
    });
  return {
    sampleTypes: bytesIn(profile, 1).map(typeOf),
    periodType: bytesIn(profile, 11).map(typeOf).join(),
    period: numberIn(profile, 12),
    timeNanos: numberIn(profile, 9),
    durationNanos: numberIn(profile, 10),
    comments: packedIn(profile, 13).map(stringAt),
    samples: bytesIn(profile, 2).map((bytes) => {
      const sample = fieldsOf(bytes);
      const stack = frames(sample);
      const labels = bytesIn(sample, 3).map((label) => {
        const fields = fieldsOf(label);
        return [stringAt(numberIn(fields, 1)), stringAt(numberIn(fields, 2))];
      });
      return {
        stack: stack.map(({ name }) => name),
        files: stack.map(({ file }) => file),
        lines: stack.map(({ line }) => line),
        values: packedIn(sample, 2),
        labels: Object.fromEntries(labels),
      };
    }),
  };
}

function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`${what} is missing`);
  return value;
}
