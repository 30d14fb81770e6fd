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

const ROOT = '(root)';
/** Nothing ran. */
const IDLE = '(idle)';
const NS_PER_US = 1000;

/**
 * Adds the samples of one thread, but those in which it slept: V8 counts them like any other. `isAsleep`
 * tells a function in which threads wait for each other.
 */
export function addCpuProfile(
  builder: PprofBuilder,
  thread: string,
  { nodes, samples, timeDeltas }: CpuProfile,
  isAsleep: (frame: Frame) => boolean,
): void {
  const parents = new Map<number, CpuNode>();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node);
  const counts = new Map<number, { count: number; us: number }>();
  samples.forEach((id, i) => {
    const sum = counts.get(id) ?? { count: 0, us: 0 };
    sum.count++;
    // The clock of a virtual machine may go back a little.
    sum.us += Math.max(0, timeDeltas[i]);
    counts.set(id, sum);
  });
  for (const node of nodes) {
    const sum = counts.get(node.id);
    const { functionName } = node.callFrame;
    if (sum === undefined || functionName === IDLE || functionName === ROOT) continue;
    const stack: Frame[] = [];
    for (let at: CpuNode | undefined = node; at !== undefined; at = parents.get(at.id)) {
      if (at.callFrame.functionName !== ROOT) stack.push(frameOf(at.callFrame));
    }
    if (isAsleep(stack[0])) continue;
    builder.add(thread, stack, [sum.count, Math.round(sum.us) * NS_PER_US]);
  }
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
