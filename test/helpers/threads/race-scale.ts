/**
 * How long the race and model suites go on: short in `npm test`, long in `npm run test:race`
 * (RACE_SCALE=long). Tests only.
 */

/** `short` normally, `long` with RACE_SCALE=long. */
export function scaled<T>(short: T, long: T): T {
  return process.env.RACE_SCALE === 'long' ? long : short;
}
