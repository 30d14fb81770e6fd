/** What the routes of metrics and of the status page need of whoever has the service's figures. */
import type { ExpositionForm } from '../../metrics/exposition.ts';

export interface Figures {
  /** All metrics as of now, in this form. */
  text(form: ExpositionForm): Promise<string>;
  /** What the status page shows, as JSON. */
  snapshot(): Promise<string>;
}
