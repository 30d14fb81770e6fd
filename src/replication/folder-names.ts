/** What a cluster's instance has in its data folder, besides replica-file.ts and kept-genesis.ts. Constants only. */

/** The generation that was begun with this folder (joining/next-generation.ts). */
export const NEXT_FILE = 'next-generation.json';
/** Data of another instance on their way into their places (joining/taking-place.ts). */
export const JOINING_FOLDER = 'joining';
/** Says that they are all there, but perhaps not in their places. */
export const TAKEN_WHOLE = 'joining/whole';
/** How the names begin under which lies what the folder held before. */
export const ASIDE_START = 'aside-';
