/**
 * The table of commands: from it come what the command line takes, the help, docs/cli-reference.md and the
 * shells' completion. What each does is its module. Main thread, constants only. (Over 300 lines: one table.)
 */
import { FORMATS, PRESET_NAMES } from '../feeds/open-feed.ts';
import type { CommandSpec, OptionSpec } from './command.ts';

export const HELP_OPTION: OptionSpec = { name: 'help', short: 'h', description: 'print this text' };

/** Of every command that talks to a running service. */
const SERVICE_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'url',
    value: 'URL',
    description: 'the service (PRODUCT_SERVICE_URL; http://127.0.0.1:8080 if neither is given)',
  },
  {
    name: 'token',
    value: 'TOKEN',
    description:
      'who asks; better in PRODUCT_SERVICE_TOKEN, because others see what a command line says',
  },
];

const FULL: OptionSpec = {
  name: 'full',
  description: 'with seq and the times that set price and stock',
};

const DATA_FOLDER = { operands: '[DATA_DIR]', takesFiles: true } as const;

const NEW_FOLDER: OptionSpec = { name: 'to', value: 'DIR', description: 'the new folder' };

export const COMMANDS: readonly CommandSpec[] = Object.freeze([
  {
    name: 'serve',
    operands: '',
    summary: 'run the service; what is done without a command',
    options: [],
    examples: [
      { command: 'PORT=8081 product-service serve', what: 'configured by the environment' },
    ],
  },
  {
    name: 'check-config',
    operands: '',
    summary: 'check the configuration, and that it fits this machine',
    options: [],
    examples: [{ command: 'product-service check-config', what: '0 = a start would take it' }],
  },
  {
    name: 'verify',
    ...DATA_FOLDER,
    summary: 'check every byte of the data without starting or writing',
    options: [{ name: 'json', description: 'print what was found as JSON' }],
    examples: [{ command: 'product-service verify ./data', what: 'before a restore, say' }],
    exits: '0 = whole, 1 = damaged',
  },
  {
    name: 'repair',
    ...DATA_FOLDER,
    summary: 'write what is provably good of damaged data to a new folder, and a report',
    options: [NEW_FOLDER],
    examples: [
      { command: 'product-service repair ./data --to ./repaired', what: 'never changes ./data' },
    ],
    exits: '0 = nothing lost, 3 = something was lost, 1 = impossible',
  },
  {
    name: 'backup',
    ...DATA_FOLDER,
    summary: 'copy the data to a new folder, also while the service runs, and verify the copy',
    options: [NEW_FOLDER],
    examples: [
      { command: 'product-service backup ./data --to ./copy', what: 'beside a running service' },
    ],
  },
  {
    name: 'cluster',
    operands: 'init|status',
    summary: 'begin a cluster of instances over NATS JetStream (once), or show it',
    options: [
      { name: 'replicas', value: 'COUNT', description: 'copies of the stream: 1, 3 or 5 (1)' },
      {
        name: 'size',
        value: 'BYTES',
        description: 'what the stream takes at the most, reserved on each server (1GB)',
      },
      {
        name: 'from',
        value: 'DIR',
        description: 'init: begin a new generation with this data of an instance that is stopped',
      },
    ],
    examples: [
      {
        command:
          'LOG=jetstream CLUSTER=shop NATS_URL=nats://127.0.0.1:4222 product-service cluster init --replicas 3',
        what: 'with the SHARDS, MAX_MEMORY_USAGE and DEDUPE_WINDOW that all instances will have',
      },
    ],
    load: () => import('./cluster.ts'),
  },
  {
    name: 'get',
    operands: 'ID…',
    summary: 'print products, one JSON object a line',
    options: [
      FULL,
      { name: 'min-seq', value: 'SEQ', description: 'wait until that event is applied' },
      ...SERVICE_OPTIONS,
    ],
    examples: [
      { command: 'product-service get sku-1 sku-2', what: 'two products' },
      { command: 'product-service get sku-1 --full', what: 'with what set its fields, and when' },
    ],
    exits: '3 = one of them is not known (the others are printed)',
    load: () => import('./get.ts'),
  },
  {
    name: 'put',
    operands: 'ID',
    summary: 'set price or stock of a product, or both, or delist it',
    options: [
      { name: 'price', value: 'NUMBER', description: 'the new price' },
      { name: 'stock', value: 'NUMBER', description: 'the new stock' },
      { name: 'delete', description: 'delist the product instead' },
      { name: 'at', value: 'TIME', description: 'when it happened (RFC 3339); now, if not given' },
      { name: 'if-match', value: 'SEQ', description: 'only to this version of the product' },
      { name: 'key', value: 'KEY', description: 'idempotency key: a repetition changes nothing' },
      {
        name: 'ack',
        value: 'LEVEL',
        choices: ['accepted', 'durable', 'applied'],
        description: 'when it is done (applied, if not given)',
      },
      ...SERVICE_OPTIONS,
    ],
    examples: [
      { command: 'product-service put sku-1 --price 49.99 --stock 12', what: 'both' },
      { command: 'product-service put sku-1 --stock 11', what: 'the price stays as it is' },
      { command: 'product-service put sku-1 --delete', what: 'no longer listed' },
    ],
    exits: '3 = the product has another version than --if-match says',
    load: () => import('./put.ts'),
  },
  {
    name: 'tail',
    operands: '',
    summary: 'follow what changes, until it is interrupted',
    options: [
      { name: 'since', value: 'SEQ', description: 'begin behind that event; now, if not given' },
      { name: 'json', description: 'one JSON object a line, as the change feed has them' },
      { name: 'count', short: 'n', value: 'N', description: 'end after so many changes' },
      ...SERVICE_OPTIONS,
    ],
    examples: [
      { command: 'product-service tail', what: 'what happens from now on' },
      {
        command: 'product-service tail --since 0 --json',
        what: 'from the beginning, for programs',
      },
    ],
    load: () => import('./tail.ts'),
  },
  {
    name: 'export',
    operands: '',
    summary: 'write all products, or those that changed',
    options: [
      {
        name: 'format',
        value: 'FORMAT',
        choices: ['ndjson', 'csv'],
        description: 'ndjson, if not given',
      },
      FULL,
      {
        name: 'since',
        value: 'SEQ',
        description: 'only products that an event behind this one changed, delisted ones too',
      },
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        description: 'into this file, which is there once it is whole; not to standard output',
      },
      ...SERVICE_OPTIONS,
    ],
    examples: [
      { command: 'product-service export > products.ndjson', what: 'all, one JSON object a line' },
      { command: 'product-service export --format csv -o products.csv', what: 'for a spreadsheet' },
      {
        command: 'product-service export --since 0 --format csv',
        what: 'and says on standard error which --since is the next',
      },
    ],
    load: () => import('./export.ts'),
  },
  {
    name: 'import',
    operands: 'FILE…|-',
    takesFiles: true,
    summary:
      'send the price and stock updates of files; interrupted, the same command goes on, and repeated it changes nothing',
    options: [
      {
        name: 'preset',
        value: 'NAME',
        choices: PRESET_NAMES,
        description: 'whose feed it is; guessed from the header and said, if not given',
      },
      {
        name: 'map',
        value: 'FIELD=COLUMN,…',
        description: 'columns of product_id, price, stock and occurred_at in any other table',
      },
      {
        name: 'format',
        value: 'FORMAT',
        choices: FORMATS,
        description: 'recognised by the content, if not given',
      },
      {
        name: 'decimal',
        value: 'MARK',
        choices: ['.', ','],
        description: "decimal mark, the preset's or what the file shows, if not given",
      },
      {
        name: 'delimiter',
        value: 'CHAR',
        description: 'between cells, or tab; as in the header line, if not given',
      },
      {
        name: 'encoding',
        value: 'NAME',
        choices: ['utf-8', 'windows-1252'],
        description: 'recognised by the content, if not given',
      },
      {
        name: 'event-time',
        value: 'TIME',
        description:
          'when the prices and stocks of a table were so: RFC 3339, file (its last change; so if not given) or now (as they arrive; so for standard input)',
      },
      {
        name: 'location',
        value: 'NAME',
        description: 'shopify-inventory: of this location; * adds all up',
      },
      { name: 'store-view', value: 'CODE', description: "magento2: with this store view's prices" },
      { name: 'currency', value: 'CODE', description: 'google-merchant, bmecat-prices: of prices' },
      {
        name: 'price-type',
        value: 'TYPE',
        description: 'bmecat-prices: net_customer, else net_list, if not given',
      },
      {
        name: 'price-quantity',
        value: 'N',
        description:
          'bmecat-prices: for how many units prices are, where the catalogue does not say',
      },
      { name: 'out-of-stock-zero', description: 'google-merchant: out of stock is stock 0' },
      {
        name: 'refused',
        value: 'FILE',
        description:
          'the report of refused lines, to be mended and imported again (FILE.refused.csv, say)',
      },
      { name: 'dry-run', description: 'judge everything, without a service' },
      { name: 'stock-min', value: 'N', description: "with --dry-run: the service's STOCK_MIN" },
      { name: 'again', description: 'send as new what was imported before' },
      {
        name: 'retry-for',
        value: 'DURATION',
        description: 'how long a service that is full or away is waited for (5m)',
      },
      ...SERVICE_OPTIONS,
    ],
    examples: [
      {
        command: 'product-service import prices.csv',
        what: 'what it is is recognised by its content, and said',
      },
      { command: 'product-service import events.ndjson.gz', what: 'compressed, as it is' },
      {
        command:
          'product-service import liste.csv --map product_id=Nr,price=VK,stock=Bestand --decimal ,',
        what: 'any table',
      },
      {
        command: 'product-service import feed.csv --dry-run',
        what: 'what would be refused, and why',
      },
      { command: 'zcat feed.csv.gz | product-service import -', what: 'from a pipe' },
    ],
    exits: '3 = some lines were refused (the others were taken), 130 = interrupted',
    load: () => import('./import/import.ts'),
  },
  {
    name: 'top',
    operands: '',
    summary: 'watch rates, latencies, queues and lag of a running service',
    options: [
      { name: 'interval', value: 'DURATION', description: 'how often it looks (1s)' },
      { name: 'count', short: 'n', value: 'N', description: 'end after so many looks' },
      { name: 'json', description: 'one JSON object a look' },
      ...SERVICE_OPTIONS,
    ],
    examples: [
      { command: 'product-service top', what: 'q quits' },
      { command: 'product-service top --count 1 --interval 10s', what: 'of the next ten seconds' },
    ],
    load: () => import('./top.ts'),
  },
  {
    name: 'dead-letters',
    operands: '[list|redrive|delete] [ID…]',
    summary: 'what sinks and appliers could not take: list it, send it again, throw it away',
    options: [
      { name: 'source', value: 'NAME', description: 'only of this sink, or of applier' },
      { name: 'product', value: 'ID', description: 'only of this product' },
      { name: 'all', description: 'redrive or delete: all of them, one after the other' },
      { name: 'json', description: 'list: one JSON object a line' },
      ...SERVICE_OPTIONS,
    ],
    examples: [
      { command: 'product-service dead-letters', what: 'all, the oldest first' },
      {
        command: 'product-service dead-letters redrive --all --source postgres',
        what: 'when what was wrong is right again',
      },
    ],
    exits: '3 = some of them are not settled, 4 = some wait for a sink that can not be reached now',
    load: () => import('./dead-letters.ts'),
  },
  {
    name: 'completion',
    operands: 'bash|zsh|fish',
    summary: "print the shell's completion of this command",
    options: [],
    examples: [
      { command: 'source <(product-service completion bash)', what: 'in ~/.bashrc' },
      {
        command:
          'product-service completion fish > ~/.config/fish/completions/product-service.fish',
        what: 'for fish',
      },
    ],
    load: () => import('./completion.ts'),
  },
]);
