/**
 * Where a replicated log's own numbers stand in the progress record (ring/progress.ts), behind those of the
 * local log's files. The log thread writes them, the stream's thread reads all but the writer.
 */
import assert from 'node:assert/strict';
import { OWN_DOUBLES } from '../ring/progress.ts';

/** The last message of the stream of which all is done. */
export const OWN_POSITION = 15;
export const OWN_CHAIN = 16;
/** This instance as a writer; 0 = none. */
export const OWN_WRITER = 17;
/** Position of the record that is on disk: a restart reads the stream from there. */
export const OWN_KEPT = 18;

/** 1 = it has diverged from the others of its cluster. */
export const OWN_OUTVOTED = 19;

assert.ok(OWN_OUTVOTED < OWN_DOUBLES);
