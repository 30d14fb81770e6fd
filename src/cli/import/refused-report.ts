/**
 * The report of refused lines: a file that can be mended and imported again. Of a table it has the header and
 * the lines as they stand in it, behind two columns more (`import_line`, `import_reason`), which no preset
 * knows; of everything else events, each behind a comment. It is there only if something was refused. Main thread.
 */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { Refusal, ReportForm } from '../../feeds/feed.ts';
import { REPORT_COLUMNS } from '../../feeds/table-head.ts';
import { CommandError, messageOf } from '../command.ts';

const COMPRESSED = /\.(?:gz|zst|br)$/i;

/** Where it goes unless the command line says so: beside the file. */
export function reportPathOf(file: string, form: ReportForm): string {
  const plain = file === '-' ? 'stdin' : file.replace(COMPRESSED, '');
  const extension = extname(plain);
  const ending = form.kind === 'ndjson' ? '.ndjson' : extension || '.csv';
  return join(dirname(plain), `${basename(plain, extension)}.refused${ending}`);
}

export class RefusedReport {
  readonly path: string;
  readonly #form: ReportForm;
  #fd: number | undefined;
  #bytes: number;

  readonly #say: (text: string) => void;

  /** Goes on behind the first `bytes` of what is there; begins anew where that is gone, and says so. */
  constructor(path: string, form: ReportForm, bytes: number, say: (text: string) => void) {
    this.path = path;
    this.#say = say;
    this.#form = form;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds refusals in order; throws CommandError if they can't be written. */
  add(refusals: readonly Refusal[]): void {
    if (refusals.length === 0) return;
    const form = this.#form;
    const parts = refusals.flatMap((refusal) =>
      form.kind === 'table' ? row(refusal, form.delimiter) : comment(refusal),
    );
    try {
      const fd = this.#opened();
      let length = 0;
      const bytes = Buffer.concat(parts);
      while (length < bytes.length) length += writeSync(fd, bytes, length);
      this.#bytes += bytes.length;
    } catch (error) {
      throw new CommandError(`the report of refused lines, ${this.path}: ${messageOf(error)}`);
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #opened(): number {
    if (this.#fd !== undefined) return this.#fd;
    if (this.#bytes > 0 && !existsSync(this.path)) {
      this.#bytes = 0;
      this.#say(`${this.path} is gone: a new report begins, with what is refused from here on`);
    }
    if (this.#bytes === 0) this.#fd = openSync(this.path, 'w');
    else {
      // What a try wrote that was killed before its batch counted is written again.
      const fd = openSync(this.path, 'r+');
      this.#bytes = Math.min(this.#bytes, fstatSync(fd).size);
      ftruncateSync(fd, this.#bytes);
      closeSync(fd);
      this.#fd = openSync(this.path, 'a');
    }
    const form = this.#form;
    if (this.#bytes === 0 && form.kind === 'table') {
      const columns = [...REPORT_COLUMNS, ''].join(form.delimiter);
      const head = Buffer.concat([Buffer.from(columns), form.header, Buffer.from('\n')]);
      writeSync(this.#fd, head);
      this.#bytes = head.length;
    }
    return this.#fd;
  }
}

function row({ line, reason, record }: Refusal, delimiter: string): Uint8Array[] {
  const shown = `"${reason.replaceAll('"', '""')}"`;
  return [Buffer.from(`${line}${delimiter}${shown}${delimiter}`), record, Buffer.from('\n')];
}

function comment({ line, reason, record }: Refusal): Uint8Array[] {
  return [Buffer.from(`# line ${line}: ${reason}\n`), record, Buffer.from('\n')];
}
