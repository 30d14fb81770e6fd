/**
 * What an import shows while it runs: a bar with rate and time left in a terminal, a line now and then
 * elsewhere. Main thread.
 */
import { StatusLine, styled } from '../terminal.ts';

const DRAW_MS = 100;
const LINE_MS = 10_000;
const BAR_CHARS = 24;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

export interface ProgressState {
  readonly events: number;
  readonly refused: number;
  readonly bytesRead: number;
  readonly bytesTotal: number | undefined;
}

export class ProgressBar {
  readonly #line = new StatusLine();
  readonly #name: string;
  readonly #startMs = performance.now();
  #lastMs = performance.now();
  /** Events that were there before this try. */
  #eventsBefore = 0;
  #waiting = '';

  constructor(name: string) {
    this.#name = name;
  }

  /** From here on the rate counts. */
  begin(events: number): void {
    this.#eventsBefore = events;
  }

  /** Says what is waited for; '' = nothing any more. */
  wait(reason: string): void {
    if (reason !== '' && reason !== this.#waiting) this.say(`waiting: ${reason}`);
    if (reason === '' && this.#waiting !== '') this.say('going on');
    this.#waiting = reason;
  }

  /** A line that stays. */
  say(text: string): void {
    this.#line.say(`product-service: ${text}`);
  }

  /** Shows the state, as often as it is worth it. */
  show(state: ProgressState): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < (this.#line.isDrawn ? DRAW_MS : LINE_MS)) return;
    this.#lastMs = nowMs;
    const text = this.#text(state, nowMs);
    if (this.#line.isDrawn) this.#line.draw(text);
    else this.say(text);
  }

  clear(): void {
    this.#line.clear();
  }

  /** Events a second in this try. */
  rate(events: number): number {
    const seconds = Math.max(0.001, (performance.now() - this.#startMs) / 1000);
    return Math.round((events - this.#eventsBefore) / seconds);
  }

  #text({ events, refused, bytesRead, bytesTotal }: ProgressState, nowMs: number): string {
    const parts: string[] = [];
    if (bytesTotal !== undefined && bytesTotal > 0) {
      const share = Math.min(1, bytesRead / bytesTotal);
      parts.push(`${String(Math.floor(share * 100)).padStart(3)}%`);
      const seconds = (nowMs - this.#startMs) / 1000;
      if (this.#line.isDrawn) parts.unshift(styled('cyan', bar(share), process.stderr));
      if (share > 0.01) parts.push(`${clock((seconds / share) * (1 - share))} left`);
    }
    parts.push(`${grouped(events)} events`, `${grouped(this.rate(events))}/s`);
    if (refused > 0) parts.push(styled('red', `${grouped(refused)} refused`, process.stderr));
    return `${this.#name}  ${parts.join('  ')}`;
  }
}

function bar(share: number): string {
  const eighths = Math.round(share * BAR_CHARS * 8);
  const full = '█'.repeat(Math.floor(eighths / 8));
  return `▕${(full + EIGHTHS[eighths % 8]).padEnd(BAR_CHARS)}▏`;
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** 1234567 → 1,234,567, whatever the locale. */
export function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
