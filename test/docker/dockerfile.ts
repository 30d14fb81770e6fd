/** The parts of Dockerfiles that the tests read, by dockerfile-ast (the parser behind the linter). */
import { DockerfileParser, type Env, type ModifiableInstruction } from 'dockerfile-ast';

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
  /** What its ENV instructions set. */
  readonly env: Readonly<Record<string, string>>;
}

/** Returns the stages in order; the last one is the image. */
export function parseDockerfile(content: string): readonly Stage[] {
  const file = DockerfileParser.parse(content);
  const froms = file.getFROMs();
  const stages: (Stage & { instructions: Instruction[]; env: Record<string, string> })[] = [];
  for (const parsed of file.getInstructions()) {
    const name = parsed.getKeyword();
    if (name === 'FROM') {
      const from = froms[stages.length];
      const base = from?.getImage() ?? '';
      stages.push({ base, name: from?.getBuildStage() ?? undefined, instructions: [], env: {} });
      continue;
    }
    const stage = stages.at(-1);
    if (stage === undefined) throw new Error(`expected FROM first, found ${name}`);
    const flags = (parsed as Partial<ModifiableInstruction>).getFlags?.() ?? [];
    stage.instructions.push({
      name,
      flags: new Map(flags.map((flag) => [flag.getName(), flag.getValue() ?? ''])),
      rest: parsed.getArgumentsContent() ?? '',
    });
    if (name !== 'ENV') continue;
    for (const each of (parsed as Env).getProperties()) {
      stage.env[each.getName()] = each.getValue() ?? '';
    }
  }
  return stages;
}

/** Reads `["a", "b"]`; `undefined` for the shell form. */
export function execForm(rest: string): readonly string[] | undefined {
  return rest.startsWith('[') ? (JSON.parse(rest) as string[]) : undefined;
}

/** Returns the one instruction of this name; `undefined` if there is none. */
export function only(stage: Stage, name: string): Instruction | undefined {
  const [first, ...others] = stage.instructions.filter((each) => each.name === name);
  if (others.length > 0) throw new Error(`expected one ${name}, found ${others.length + 1}`);
  return first;
}
