/**
 * What V8 hands out as JSON, CPU profiles and sampled heaps, added to a pprof profile. Pure, any thread.
 */
import { fileURLToPath } from 'node:url';
import type { Frame, PprofBuilder, ValueType } from './pprof.ts';

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  /** From 0; −1 = not known. */
  readonly lineNumber: number;
}

interface CpuNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
}

/** Of `worker.startCpuProfile` and `v8.startCpuProfile`. */
export interface CpuProfile {
  readonly nodes: readonly CpuNode[];
  /** Nodes, one a sample. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

interface HeapNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

/** Of `worker.startHeapProfile` and the inspector. */
export interface HeapProfile {
  readonly head: HeapNode;
  readonly samples: readonly { readonly nodeId: number; readonly size: number }[];
}

export const CPU_TYPES: readonly ValueType[] = [
  ['samples', 'count'],
  ['cpu', 'nanoseconds'],
];
export const HEAP_TYPES: readonly ValueType[] = [
  ['inuse_objects', 'count'],
  ['inuse_space', 'bytes'],
];

/** A name, up to the member behind it. */
const NAME = /"functionName":"(.*?)"(?=,"(?:lineNumber|scriptId|url)":)/gs;

/**
 * What V8 says of a thread, from the text that Node hands out. That has names as they are: those of regular expressions,
 * `RegExp: "\d+"`, are no JSON with their quotes and backslashes (findings/node-cpu-profile-regexp.sh).
 */
export function parseProfile<T extends CpuProfile | HeapProfile>(text: string): T {
  try {
    return JSON.parse(text);
  } catch {
    const escaped = (_: string, name: string) => `"functionName":${JSON.stringify(name)}`;
    return JSON.parse(text.replaceAll(NAME, escaped));
  }
}

const ROOT = '(root)';
/** Nothing ran. */
const IDLE = '(idle)';
const NS_PER_US = 1000;

/**
 * Adds the samples of one thread, but those of functions that are left out. V8 samples a thread that
 * sleeps like one that works, and in optimized code it can't always tell in which function: so the time
 * of all of them together is brought down to `usedUs`, what the kernel counted. Never up: other work of the
 * thread, such as compiling, V8 doesn't sample.
 */
export function addCpuProfile(
  builder: PprofBuilder,
  thread: string,
  { nodes, samples, timeDeltas }: CpuProfile,
  usedUs: number,
  isLeftOut: (frame: Frame) => boolean,
): void {
  const parents = new Map<number, CpuNode>();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node);
  const sums = new Map<number, { count: number; us: number }>();
  samples.forEach((id, i) => {
    const sum = sums.get(id) ?? { count: 0, us: 0 };
    sum.count++;
    // The clock of a virtual machine may go back a little.
    sum.us += Math.max(0, timeDeltas[i]);
    sums.set(id, sum);
  });
  const shown = nodes.flatMap((node) => {
    const sum = sums.get(node.id);
    const { functionName } = node.callFrame;
    if (sum === undefined || functionName === IDLE || functionName === ROOT) return [];
    const stack = stackOf(node, parents);
    return isLeftOut(stack[0]) ? [] : [{ stack, ...sum }];
  });
  const sampledUs = shown.reduce((total, { us }) => total + us, 0);
  const scale = sampledUs > usedUs ? usedUs / sampledUs : 1;
  for (const { stack, count, us } of shown) {
    builder.add(thread, stack, [count, Math.round(us * scale * NS_PER_US)]);
  }
}

/** The leaf first, without V8's root. */
function stackOf(node: CpuNode, parents: ReadonlyMap<number, CpuNode>): Frame[] {
  const stack: Frame[] = [];
  for (let at: CpuNode | undefined = node; at !== undefined; at = parents.get(at.id)) {
    if (at.callFrame.functionName !== ROOT) stack.push(frameOf(at.callFrame));
  }
  return stack;
}

/** Adds what one thread has allocated since sampling began and still holds. */
export function addHeapProfile(builder: PprofBuilder, thread: string, profile: HeapProfile): void {
  const sizes = new Map<number, number[]>();
  for (const { nodeId, size } of profile.samples) {
    const known = sizes.get(nodeId);
    if (known === undefined) sizes.set(nodeId, [size]);
    else known.push(size);
  }
  const visit = (node: HeapNode, above: readonly Frame[]): void => {
    const isRoot = node.callFrame.functionName === ROOT;
    const stack = isRoot ? above : [frameOf(node.callFrame), ...above];
    if (node.selfSize > 0 && stack.length > 0) {
      builder.add(thread, stack, [sizes.get(node.id)?.length ?? 1, node.selfSize]);
    }
    for (const child of node.children) visit(child, stack);
  };
  visit(profile.head, []);
}

function frameOf({ functionName, url, lineNumber }: CallFrame): Frame {
  const file = url.startsWith('file:') ? fileURLToPath(url) : url;
  const name = functionName === '' ? anonymousIn(file) : functionName;
  return { name, file, line: Math.max(0, lineNumber + 1) };
}

/** pprof puts what has the same name together. */
function anonymousIn(file: string): string {
  const base = file.slice(file.lastIndexOf('/') + 1);
  return base === '' ? '(anonymous)' : `(anonymous in ${base})`;
}
