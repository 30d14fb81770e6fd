/** Variables of the log, and of the cluster that it may be shared with. Pure data, any thread. */
import { Type } from '@sinclair/typebox';
import { choice, text } from '../variable.ts';

export const CLUSTER = {
  log: choice(['file', 'jetstream'], {
    env: 'LOG',
    defaultText: 'file',
    description:
      'Where events get their order: this instance alone (file), or a stream of NATS JetStream that many instances share; either way they lie in DATA_DIR too',
  }),
  role: choice(['full', 'reader'], {
    env: 'ROLE',
    defaultText: 'full',
    description:
      'What this instance of a cluster does: all (full), or follow and serve reads only (reader); with LOG=jetstream only',
  }),
  cluster: Type.Optional(
    text({
      env: 'CLUSTER',
      defaultText: '',
      pattern: '^[a-z0-9][a-z0-9-]{0,31}$',
      allowedText: 'up to 32 lower-case letters, digits and dashes',
      description: 'Name of the cluster that this instance belongs to; with LOG=jetstream only',
    }),
  ),
};
