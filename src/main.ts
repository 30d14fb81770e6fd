#!/usr/bin/env -S node --disable-sigusr1
/**
 * The process: from its first moment on it knows what to do about signals; everything else is loaded
 * behind that (cli/program.ts), because loading takes a while.
 */
import { Signals } from './process/signals.ts';

const signals = new Signals();
const { runProgram } = await import('./cli/program.ts');
await runProgram(signals);
