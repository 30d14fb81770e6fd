/** The history over HTTP, in a file. */
import { describeHistoryService } from './contract/service-contract.ts';

describeHistoryService('a file', async () => ({}));
