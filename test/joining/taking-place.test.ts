/** What comes takes its place whole or not at all, wherever it is cut off. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { TakingPlace } from '../../src/joining/taking-place.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

const NAMES = ['log', 'checkpoint', 'replica-0.json', 'cluster.json'];

function fill(folder: string, text: string, names = NAMES): void {
  for (const name of names) {
    const isFolder = !name.includes('.');
    mkdirSync(isFolder ? join(folder, name) : folder, { recursive: true });
    writeFileSync(join(folder, isFolder ? `${name}/file` : name), text);
  }
}

function textOf(folder: string, name: string): string {
  return readFileSync(join(folder, name.includes('.') ? name : `${name}/file`), 'utf8');
}

function isNew(t: Test, root: string): void {
  for (const name of NAMES) t.equal(textOf(root, name), 'new', name);
  t.notOk(existsSync(join(root, 'replica-1.json')), 'nothing of before counts');
  t.notOk(existsSync(join(root, 'joining')));
  t.equal(textOf(root, 'sinks'), 'old', 'what is not of the log stays');
  const aside = readdirSync(root).filter((name) => name.startsWith('aside-'));
  t.equal(aside.length, 1);
  const kept = [...NAMES, 'replica-1.json', 'history.sqlite'];
  for (const name of kept) t.equal(textOf(join(root, aside[0] ?? ''), name), 'old', name);
}

t.test('what has come takes the place of what was there', (t) => {
  const root = tempDir(t);
  fill(root, 'old', [...NAMES, 'replica-1.json', 'history.sqlite', 'sinks']);
  const place = new TakingPlace(root);
  place.begin();
  fill(place.data, 'new');
  t.match(place.finish(), /aside-/);
  isNew(t, root);
  t.end();
});

t.test('what was not whole is thrown away', (t) => {
  const root = tempDir(t);
  fill(root, 'old');
  const place = new TakingPlace(root);
  place.begin();
  fill(place.data, 'new');
  new TakingPlace(root).resume();
  for (const name of NAMES) t.equal(textOf(root, name), 'old');
  t.notOk(existsSync(join(root, 'joining')));
  t.end();
});

t.test('cut off behind each step, the next start goes on', (t) => {
  const all = [...NAMES, 'replica-1.json', 'history.sqlite', 'sinks'];
  const prepared = () => {
    const root = tempDir(t);
    fill(root, 'old', all);
    fill(join(root, 'joining/data'), 'new');
    writeFileSync(join(root, 'joining/whole'), '');
    return root;
  };
  const moved = [
    'log',
    'checkpoint',
    'replica-0.json',
    'replica-1.json',
    'cluster.json',
    'history.sqlite',
  ];
  // Some of it has gone aside already; it does not matter into which folder.
  for (let gone = 0; gone <= moved.length; gone++) {
    const root = prepared();
    const aside = join(root, 'aside-before');
    mkdirSync(aside);
    for (const name of moved.slice(0, gone)) {
      cpSync(join(root, name), join(aside, name), { recursive: true });
      rmSync(join(root, name), { recursive: true });
    }
    new TakingPlace(root).resume();
    for (const name of NAMES) t.equal(textOf(root, name), 'new', `${gone}: ${name}`);
    t.notOk(existsSync(join(root, 'replica-1.json')));
  }
  // And some has come into its place.
  for (let come = 0; come <= NAMES.length; come++) {
    const root = prepared();
    for (const name of moved) rmSync(join(root, name), { recursive: true });
    writeFileSync(join(root, 'joining/cleared'), '');
    for (const name of NAMES.slice(0, come)) {
      cpSync(join(root, 'joining/data', name), join(root, name), { recursive: true });
      rmSync(join(root, 'joining/data', name), { recursive: true });
    }
    new TakingPlace(root).resume();
    for (const name of NAMES) t.equal(textOf(root, name), 'new', `${come}: ${name}`);
    t.notOk(existsSync(join(root, 'joining')));
  }
  t.end();
});
