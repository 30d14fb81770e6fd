/**
 * What is done about each SQLSTATE of PostgreSQL (its manual, appendix A). Data; any thread.
 * A whole code stands before its class, the first two characters; what is in neither: `not-retryable`.
 */
import type { ErrorClass } from '../sink.ts';

interface SqlState {
  readonly name: string;
  readonly class: ErrorClass;
}

export const SQLSTATES: Readonly<Record<string, SqlState>> = {
  '25006': { name: 'read_only_sql_transaction', class: 'retryable' }, // a standby, until it is promoted
  '25P03': { name: 'idle_in_transaction_session_timeout', class: 'retryable' },
  '42501': { name: 'insufficient_privilege', class: 'not-retryable' },
  '53300': { name: 'too_many_connections', class: 'retryable' },
  '55006': { name: 'object_in_use', class: 'retryable' },
  '55P03': { name: 'lock_not_available', class: 'retryable' },
  '57P04': { name: 'database_dropped', class: 'not-retryable' },
};

export const SQLSTATE_CLASSES: Readonly<Record<string, SqlState>> = {
  '08': { name: 'connection_exception', class: 'retryable' },
  '22': { name: 'data_exception', class: 'validation' },
  '23': { name: 'integrity_constraint_violation', class: 'validation' },
  '28': { name: 'invalid_authorization_specification', class: 'not-retryable' },
  '3D': { name: 'invalid_catalog_name', class: 'not-retryable' },
  '3F': { name: 'invalid_schema_name', class: 'not-retryable' },
  '40': { name: 'transaction_rollback', class: 'retryable' },
  '42': { name: 'syntax_error_or_access_rule_violation', class: 'not-retryable' },
  '44': { name: 'with_check_option_violation', class: 'validation' },
  '53': { name: 'insufficient_resources', class: 'system' },
  '54': { name: 'program_limit_exceeded', class: 'validation' },
  '55': { name: 'object_not_in_prerequisite_state', class: 'not-retryable' },
  '57': { name: 'operator_intervention', class: 'retryable' },
  '58': { name: 'system_error', class: 'system' },
  F0: { name: 'config_file_error', class: 'system' },
  P0: { name: 'plpgsql_error', class: 'validation' }, // RAISE in somebody's trigger
  XX: { name: 'internal_error', class: 'system' },
};

export function classOfSqlState(code: string): ErrorClass {
  const known = SQLSTATES[code] ?? SQLSTATE_CLASSES[code.slice(0, 2)];
  return known?.class ?? 'not-retryable';
}
