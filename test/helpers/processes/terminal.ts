/** A command at a pseudo-terminal (Debian's `script`): what it shows, and keys to press. Tests only. */
import { spawn } from 'node:child_process';
import type { Test } from 'tap';
import { bounded, polled } from '../bounded.ts';
import { type CommandOptions, commandEnv } from './command-line.ts';

const WAIT_MS_MAX = 60_000;

export interface Terminal {
  /** Presses keys; `\t` is Tab, `\x03` Ctrl-C. */
  readonly type: (keys: string) => void;
  /** All that was shown by now, control characters and what was typed included. */
  readonly shown: () => string;
  /** Resolves with what `find` finds in what is shown. */
  readonly until: <T>(find: (shown: string) => T | undefined, what: string) => Promise<T>;
  /** Resolves when the command has ended. */
  readonly end: () => Promise<void>;
}

/** Starts a shell command there, in the environment of `commandEnv`. */
export function startInTerminal(t: Test, command: string, options: CommandOptions): Terminal {
  const { cwd } = options;
  const pairs = Object.entries(commandEnv(options)).map(([name, value]) => `${name}=${value}`);
  const child = spawn('/usr/bin/env', ['-i', ...pairs, 'script', '-qfec', command, '/dev/null'], {
    cwd,
    stdio: 'pipe',
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  return {
    type: (keys) => void child.stdin.write(keys),
    shown: () => text,
    until: (find, what) => polled(() => find(text), WAIT_MS_MAX, what),
    end: () => bounded(closed, WAIT_MS_MAX, `the end of ${command}`),
  };
}
