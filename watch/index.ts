export { hasReached, type Position, PositionSchema } from './position.ts';
export type { EventSource, Positioned, ReadOutcome } from './source.ts';
export type { SqliteDatabase, SqliteStatement, SqliteValue } from './sqlite.ts';
