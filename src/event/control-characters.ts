/** Control characters, which stand in no id: C0, DEL and C1. Main thread; pure. */
const CONTROL = /\p{Cc}/u;

export function hasControl(text: string): boolean {
  return CONTROL.test(text);
}
