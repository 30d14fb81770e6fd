/**
 * Makes dist/, the JavaScript that `npm pack` packs (`prepack`): Node strips no types under node_modules.
 * src/ and workers/ are translated file by file by TypeScript's own compiler, in the same layout, so that
 * every relative path holds; endings in imports become .js by its `rewriteRelativeImportExtensions`, and those
 * of the threads' entries, which that leaves alone, by `withScriptUrls`. Types are checked elsewhere.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
const DIST = join(REPOSITORY, 'dist');
/** What the program reads of package.json, and what makes Node take its files for modules. */
const FACTS = ['name', 'version', 'description', 'license', 'type'] as const;

const { config } = ts.readConfigFile(join(REPOSITORY, 'tsconfig.json'), ts.sys.readFile);
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, REPOSITORY);
const EMITTING: ts.CompilerOptions = {
  ...options,
  noEmit: false,
  allowImportingTsExtensions: false,
  // A file by itself has no package.json that says what it is: with nodenext it would become CommonJS.
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  rewriteRelativeImportExtensions: true,
};

/** `new URL('….ts', import.meta.url)` with the ending of what is packed. */
const withScriptUrls: ts.TransformerFactory<ts.SourceFile> = ({ factory, ...context }) => {
  const visit = (node: ts.Node): ts.Node => {
    const path = urlPath(node);
    if (path === undefined) return ts.visitEachChild(node, visit, { factory, ...context });
    const url = node as ts.NewExpression;
    const [, ...rest] = url.arguments ?? [];
    const script = factory.createStringLiteral(path.replace(/\.ts$/, '.js'), true);
    return factory.updateNewExpression(url, url.expression, undefined, [script, ...rest]);
  };
  return (file) => ts.visitNode(file, visit, ts.isSourceFile);
};

/** The path in `new URL(path, …)` if that is a source file of ours. */
function urlPath(node: ts.Node): string | undefined {
  if (!ts.isNewExpression(node) || node.expression.getText() !== 'URL') return undefined;
  const [path] = node.arguments ?? [];
  return path !== undefined && ts.isStringLiteral(path) && path.text.endsWith('.ts')
    ? path.text
    : undefined;
}

function translate(path: string): void {
  const { outputText, diagnostics = [] } = ts.transpileModule(readFileSync(path, 'utf8'), {
    fileName: path,
    compilerOptions: EMITTING,
    transformers: { before: [withScriptUrls] },
    reportDiagnostics: true,
  });
  const [fault] = diagnostics;
  if (fault !== undefined) {
    throw new Error(`${path}: ${ts.flattenDiagnosticMessageText(fault.messageText, ' ')}`);
  }
  const target = join(DIST, relative(REPOSITORY, path)).replace(/\.ts$/, '.js');
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
}

rmSync(DIST, { recursive: true, force: true });
for (const folder of ['src', 'workers']) {
  const entries = readdirSync(join(REPOSITORY, folder), { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.name.endsWith('.ts')) translate(path);
    // What the program serves as it is, such as the status page.
    else if (entry.isFile()) cpSync(path, join(DIST, relative(REPOSITORY, path)));
  }
}
const facts = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
const kept = Object.fromEntries(FACTS.map((name) => [name, facts[name]]));
writeFileSync(join(DIST, 'package.json'), `${JSON.stringify(kept, undefined, 2)}\n`);
