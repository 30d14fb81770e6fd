/** A start that finds data of another instance on their way into the data folder: `node resume-place.ts DATA_DIR`. */
import { TakingPlace } from '../../src/joining/taking-place.ts';

new TakingPlace(process.argv[2] ?? '').resume();
