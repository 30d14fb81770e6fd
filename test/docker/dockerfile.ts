/**
 * Reads the parts of Dockerfiles that ours uses: stages, instructions, exec form, flags.
 * It refuses what it does not understand, so that the tests can't pass by looking past something.
 */

export interface Instruction {
  /** In capitals: `COPY`, `RUN`, … */
  readonly name: string;
  /** `--from=x` and the like, before the arguments. */
  readonly flags: ReadonlyMap<string, string>;
  /** The rest of the line, continuation lines joined. */
  readonly rest: string;
}

export interface Stage {
  readonly base: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** Returns the stages in order; the last one is the image. */
export function parseDockerfile(content: string): readonly Stage[] {
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = [];
  for (const line of logicalLines(content)) {
    const instruction = parseInstruction(line);
    if (instruction.name === 'FROM') {
      const [base, as, name, ...others] = instruction.rest.split(/\s+/);
      if (others.length > 0 || (as !== undefined && as !== 'AS')) {
        throw new Error(`expected FROM base [AS name], found ${line}`);
      }
      stages.push({ base, name, instructions: [] });
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`expected FROM first, found ${line}`);
      stage.instructions.push(instruction);
    }
  }
  return stages;
}

/** Reads `["a", "b"]`; `undefined` for the shell form. */
export function execForm(rest: string): readonly string[] | undefined {
  if (!rest.startsWith('[')) return undefined;
  const words: unknown = JSON.parse(rest);
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) {
    throw new Error(`expected a list of strings, found ${rest}`);
  }
  return words;
}

/** Returns the one instruction of this name; `undefined` if there is none. */
export function only(stage: Stage, name: string): Instruction | undefined {
  const [first, ...others] = stage.instructions.filter((each) => each.name === name);
  if (others.length > 0) throw new Error(`expected one ${name}, found ${others.length + 1}`);
  return first;
}

/** Returns what all ENV instructions of a stage set, in the form NAME=value without quotes. */
export function environmentOf(stage: Stage): Readonly<Record<string, string>> {
  const pairs = stage.instructions
    .filter((each) => each.name === 'ENV')
    .flatMap((each) => each.rest.split(/\s+/))
    .map((pair) => {
      const match = /^([A-Z_]+)=([^\s"'$\\]*)$/.exec(pair);
      if (match === null) throw new Error(`expected NAME=value, found ${pair}`);
      return [match[1], match[2]] as const;
    });
  return Object.fromEntries(pairs);
}

function logicalLines(content: string): string[] {
  const lines = content.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  return lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter(Boolean);
}

function parseInstruction(line: string): Instruction {
  const match = /^([A-Z]+)\s+(.*)$/.exec(line);
  if (match === null) throw new Error(`expected an instruction, found ${line}`);
  const flags = new Map<string, string>();
  let rest = match[2];
  for (;;) {
    const flag = /^--([a-z-]+)=(\S+)\s+/.exec(rest);
    if (flag === null) return { name: match[1], flags, rest };
    flags.set(flag[1], flag[2]);
    rest = rest.slice(flag[0].length);
  }
}
