/**
 * What is written to people, on standard error: colours where it is a terminal that has them (NO_COLOR,
 * FORCE_COLOR and TERM as Node reads them), and one line that is drawn over and over. Main thread.
 */
import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const CLEAR_LINE = '\r\x1b[K';
const COLUMNS_DEFAULT = 80;

/** `text` in a style, if `stream` shows styles. */
export function styled(style: Style, text: string, stream: NodeJS.WriteStream): string {
  return styleText(style, text, { stream, validateStream: true });
}

/**
 * The last line of a terminal, drawn anew as it changes; elsewhere nothing is drawn. Lines that are to stay
 * go above it.
 */
export class StatusLine {
  readonly isDrawn: boolean;
  readonly #stream: NodeJS.WriteStream;
  #text = '';

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
    this.isDrawn = stream.isTTY === true && process.env.TERM !== 'dumb';
  }

  get columns(): number {
    return this.#stream.columns || COLUMNS_DEFAULT;
  }

  /** Shows `text`, which has no line break, cut to the terminal's width. */
  draw(text: string): void {
    if (!this.isDrawn) return;
    const plain = stripVTControlCharacters(text);
    this.#text = plain.length < this.columns ? text : plain.slice(0, this.columns - 1);
    this.#stream.write(CLEAR_LINE + this.#text);
  }

  /** A line that stays. */
  say(text: string): void {
    const redrawn = this.#text === '' ? '' : this.#text;
    this.#stream.write(`${redrawn === '' ? '' : CLEAR_LINE}${text}\n${redrawn}`);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#text !== '') this.#stream.write(CLEAR_LINE);
    this.#text = '';
  }
}
