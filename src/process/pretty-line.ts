/**
 * A line of the log as people read it in a terminal: time, level, message, then what else it has. Pure.
 * No control character of a value reaches the terminal, which would obey it.
 */
import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const LEVELS: Readonly<Record<number, readonly [name: string, style: Style]>> = {
  10: ['trace', 'dim'],
  20: ['debug', 'dim'],
  30: ['info ', 'green'],
  40: ['warn ', 'yellow'],
  50: ['error', 'red'],
  60: ['fatal', 'red'],
};
const LEVEL_OTHER = ['?    ', 'dim'] as const;
/** A member with a longer value is cut: whoever wants it whole has the JSON. */
const VALUE_LENGTH_MAX = 120;
/** Said already, or the same in each line. */
const LEFT_OUT = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'err']);
/** All but tab and newline. */
const CONTROLS = /[^\P{Cc}\t\n]/gu;

interface Line {
  readonly level?: number;
  readonly time?: number;
  readonly msg?: string;
  readonly err?: { readonly stack?: string; readonly message?: string };
  readonly [member: string]: unknown;
}

/** `line` is pino's, and ends with a newline as the result does; what is no JSON comes back as it is. */
export function prettyLine(line: string, hasColors: boolean): string {
  let parsed: Line;
  try {
    parsed = JSON.parse(line);
  } catch {
    return line;
  }
  const paint = (style: Style, text: string) =>
    hasColors ? styleText(style, text, { validateStream: false }) : text;
  const { level = 0, time = 0, msg = '', err } = parsed;
  const [name, style] = LEVELS[level] ?? LEVEL_OTHER;
  const rest = Object.entries(parsed)
    .filter(([member]) => !LEFT_OUT.has(member))
    .map(([member, value]) => `${member}=${textOf(value)}`);
  const head = [paint('dim', clockOf(time)), paint(style, name), harmless(msg)].join(' ');
  const tail = rest.length === 0 ? '' : ` ${paint('dim', harmless(rest.join(' ')))}`;
  const trouble = err?.stack ?? err?.message;
  const below = trouble === undefined ? '' : `\n${harmless(trouble).replaceAll(/^/gm, '    ')}`;
  return `${head}${tail}${below}\n`;
}

/** Local time, to the millisecond. */
function clockOf(timeMs: number): string {
  const time = new Date(timeMs);
  const two = (part: number) => String(part).padStart(2, '0');
  const ms = String(time.getMilliseconds()).padStart(3, '0');
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${ms}`;
}

function textOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= VALUE_LENGTH_MAX ? text : `${text.slice(0, VALUE_LENGTH_MAX)}…`;
}

function harmless(text: string): string {
  return stripVTControlCharacters(text).replace(CONTROLS, '\ufffd');
}
