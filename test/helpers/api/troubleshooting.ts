/** What docs/troubleshooting.md shows of the service's own words. Tests only. */
import { readFileSync } from 'node:fs';

const PAGE = readFileSync(new URL('../../../docs/troubleshooting.md', import.meta.url), 'utf8');
const SECTION = /^## (.+)\n([\s\S]*?)(?=^## |$(?![\s\S]))/gm;

/** The headings, in their order. */
export const TROUBLES: readonly string[] = [...PAGE.matchAll(SECTION)].map(
  ([, title]) => title ?? '',
);

/** The line that the section shows, whole; what it leaves open (…) is anything. */
export function troubleShown(title: string): RegExp {
  const section = [...PAGE.matchAll(SECTION)].find(([, heading]) => heading === title)?.[2];
  const line = /^```text\n(.+)\n```$/m.exec(section ?? '')?.[1];
  if (line === undefined) throw new Error(`docs/troubleshooting.md shows no line of: ${title}`);
  return new RegExp(`^${line.split('…').map(escaped).join('.+')}\\n?$`);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
