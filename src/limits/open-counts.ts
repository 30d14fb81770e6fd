/**
 * What all threads that serve HTTP have open together, never more than the service may: connections, streams of
 * HTTP/2, followers of the change feed. Tallies (threads/tallies.ts, with the interleavings). Any thread.
 */
import { SharedPlaces } from '../threads/shared-places.ts';
import { Tallies } from '../threads/tallies.ts';

const CONNECTIONS = 0;
const STREAMS = 1;
const FOLLOWERS = 2;
const TALLIES = 3;

export interface OpenLimits {
  /** Streams are bounded by the same number: each may hold what a connection may. */
  readonly httpConnectionsMax: number;
  readonly changesFollowersMax: number;
}

/** What one thread takes of each and gives back. */
export interface OpenCounts {
  readonly connections: SharedPlaces;
  readonly streams: SharedPlaces;
  readonly followers: SharedPlaces;
}

/** The memory of `threads` threads, which have nothing open. */
export function createOpen(threads: number): SharedArrayBuffer {
  return Tallies.create(TALLIES, threads);
}

/** Those of thread `thread`. */
export function openCountsOf(
  memory: SharedArrayBuffer,
  thread: number,
  limits: OpenLimits,
): OpenCounts {
  const { httpConnectionsMax, changesFollowersMax } = limits;
  const tallies = new Tallies(memory, TALLIES, thread);
  return {
    connections: new SharedPlaces(tallies, CONNECTIONS, httpConnectionsMax),
    streams: new SharedPlaces(tallies, STREAMS, httpConnectionsMax),
    followers: new SharedPlaces(tallies, FOLLOWERS, changesFollowersMax),
  };
}

/** Main thread: thread `thread` is dead, and has nothing open. False if it must be tried again, later. */
export function forgetOpen(memory: SharedArrayBuffer, thread: number): boolean {
  const tallies = new Tallies(memory, TALLIES, 0);
  let isForgotten = true;
  for (const tally of [CONNECTIONS, STREAMS, FOLLOWERS]) {
    tallies.inherit(tally, thread, 0);
    if (tallies.balance(tally) === undefined) isForgotten = false;
  }
  return isForgotten;
}
