/** What a configuration is refused for. Tests only. */
import { ConfigError, type Environment, loadConfig } from '../../src/config/load.ts';

/** One sentence for each fault; none if it is taken. */
export function faultsOf(env: Environment): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}
