/**
 * Carries out our Dockerfile without an engine: every stage gets a folder that stands for its `/`,
 * COPY copies what .dockerignore lets through, RUN runs, and the result can be started as the
 * image's user with the image's environment and nothing of this machine's but its C library.
 * What it can't show: the base image itself, and the isolation that only an engine gives.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseDockerIgnore } from './docker-ignore.ts';
import { execForm, only, parseDockerfile, type Stage } from './dockerfile.ts';

/** The uid and gid of the user `node` in the official images. */
const NODE_USER_ID = 1000;
const AS_USER = { uid: NODE_USER_ID, gid: NODE_USER_ID };

export interface EmulatedImage {
  /** The folder that stands for `/` in the image. */
  readonly root: string;
  /** The folder that stands for WORKDIR. */
  readonly workDir: string;
  /** What ENV sets, with paths moved below `root`, and a PATH that holds nothing but Node. */
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly healthCheck: readonly string[];
}

/**
 * Builds the image of the Dockerfile in `context` under `target`, an empty folder. Blocks; needs
 * npm and its registry. Every user must be able to enter the folders above `target`.
 */
export function buildImage(context: string, target: string): EmulatedImage {
  const stages = parseDockerfile(readFileSync(join(context, 'Dockerfile'), 'utf8'));
  const roots = new Map<string, string>();
  for (const [index, stage] of stages.entries()) {
    const root = join(target, `stage-${index}`);
    mkdirSync(root);
    roots.set(stage.name ?? `${index}`, root);
    buildStage(stage, root, context, roots);
  }

  const last = stages.at(-1);
  const root = join(target, `stage-${stages.length - 1}`);
  if (last === undefined) throw new Error('expected a stage, found none');
  if (only(last, 'USER')?.rest !== 'node') throw new Error('expected USER node');

  return {
    root,
    workDir: workDirOf(last, root),
    env: { ...movedEnvironment(last, root), PATH: nodeFolder(root) },
    command: wordsOf(last, 'CMD'),
    healthCheck: wordsOf(last, 'HEALTHCHECK'),
  };
}

/** Starts a command in the image as its user (as our own if we aren't root), with `extra` set. */
export function runInImage(
  image: EmulatedImage,
  command: readonly string[],
  extra: Readonly<Record<string, string>>,
): ChildProcess {
  const env = Object.entries({ ...image.env, ...extra }).map(([name, value]) => `${name}=${value}`);
  // `env -i` and not `spawn`'s own `env`: tap adds to that what makes every Node report to it.
  return spawn('/usr/bin/env', ['-i', ...env, ...command], {
    cwd: image.workDir,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(isRoot() ? AS_USER : {}),
  });
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function buildStage(
  stage: Stage,
  root: string,
  context: string,
  roots: ReadonlyMap<string, string>,
): void {
  const workDir = workDirOf(stage, root);
  mkdirSync(workDir, { recursive: true });
  let isUser = false;
  for (const { name, flags, rest } of stage.instructions) {
    if (name === 'USER') isUser = true;
    else if (name === 'COPY') {
      const words = rest.split(/\s+/);
      const sources = words.slice(0, -1);
      const destination = words[words.length - 1];
      const from = flags.get('from');
      if (from === undefined) copyFromContext(sources, context, workDir, destination);
      else copyFromStage(sources, roots.get(from), join(workDir, destination));
    } else if (name === 'RUN') {
      const PATH = `${nodeFolder(root)}:${process.env.PATH}`;
      run(rest, workDir, { ...movedEnvironment(stage, root), PATH }, isUser);
    }
  }
}

/** The folder in the image that has Node, and nothing but it; made if need be. */
function nodeFolder(root: string): string {
  const bin = join(root, 'usr/local/bin');
  if (existsSync(bin)) return bin;
  mkdirSync(bin, { recursive: true });
  cpSync(process.execPath, join(bin, 'node'));
  chmodSync(join(bin, 'node'), 0o755);
  return bin;
}

function copyFromContext(
  sources: readonly string[],
  context: string,
  workDir: string,
  destination: string,
): void {
  const ignores = parseDockerIgnore(readFileSync(join(context, '.dockerignore'), 'utf8'));
  for (const source of sources) {
    if (!existsSync(join(context, source)) || ignores(source)) {
      throw new Error(`COPY ${source}: no such file in the build context`);
    }
    // A folder's content goes into the destination, a file goes below it if that ends with a slash.
    const isFile = statSync(join(context, source)).isFile();
    if (isFile && !destination.endsWith('/')) throw new Error(`expected COPY to a folder/`);
    cpSync(join(context, source), join(workDir, destination, isFile ? source : ''), {
      recursive: true,
      filter: (path) => !ignores(relative(context, path)),
    });
  }
}

function copyFromStage(sources: readonly string[], from: string | undefined, to: string): void {
  if (from === undefined) throw new Error('expected COPY --from an earlier stage');
  for (const source of sources) {
    mkdirSync(dirname(to), { recursive: true });
    cpSync(join(from, source), to, { recursive: true, verbatimSymlinks: true });
  }
}

/**
 * Runs a shell command with this machine's npm, as the image's user if `isUser`; ids that only root may give
 * become our own.
 */
function run(
  command: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
  isUser: boolean,
): void {
  const ownIds = `-o ${process.getuid?.()} -g ${process.getgid?.()}`;
  const owned = `-o ${NODE_USER_ID} -g ${NODE_USER_ID}`;
  const permitted = isRoot() ? command : command.replaceAll(owned, ownIds);
  // Left out here, too: tap adds it to each `env` of ours, and the image's user can't write to tap's folder.
  execFileSync('/usr/bin/env', ['-u', 'NODE_OPTIONS', '/bin/sh', '-c', permitted], {
    cwd,
    env: { ...environmentWithoutNpmRun(), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(isUser && isRoot() ? AS_USER : {}),
  });
}

/** Leaves out what `npm run` and tap say to their own children; the registry's settings stay. */
function environmentWithoutNpmRun(): NodeJS.ProcessEnv {
  const ofTheRun =
    /^(?:npm_(?:lifecycle|package|config_local_prefix|node_execpath)|NODE_OPTIONS$|NODE_COMPILE_CACHE$|TAP_|_TAPJS|INIT_CWD$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ofTheRun.test(name)));
}

function movedEnvironment(stage: Stage, root: string): Record<string, string> {
  const moved = Object.entries(stage.env).map(
    ([name, value]) => [name, value.startsWith('/') ? join(root, value) : value] as const,
  );
  return Object.fromEntries(moved);
}

function workDirOf(stage: Stage, root: string): string {
  const workDir = only(stage, 'WORKDIR')?.rest;
  if (workDir === undefined) throw new Error('expected WORKDIR');
  return join(root, workDir);
}

/** The exec form of CMD, or of the CMD within HEALTHCHECK. */
function wordsOf(stage: Stage, name: 'CMD' | 'HEALTHCHECK'): readonly string[] {
  const rest = only(stage, name)?.rest.replace(name === 'HEALTHCHECK' ? /^CMD\s+/ : '', '');
  const words = execForm(rest ?? '');
  if (words === undefined) throw new Error(`expected ${name} in exec form`);
  return words;
}
