/** A year of a shop in any order of delivery, in a file of SQLite. */
import { fileWorld } from './contract/file-world.ts';
import { describeRetailYear } from './contract/retail-year.ts';

describeRetailYear('a file', fileWorld, { slice: 6000 });
