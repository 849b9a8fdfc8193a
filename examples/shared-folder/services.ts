import { Type } from '@sinclair/typebox';
import { createServiceSchema, Ok, Procedure } from 'holdfast';
import { once, SqliteCheckpointStore } from 'holdfast/consume';
import { createTopic, PositionSchema, type SqliteDatabase, SqliteTopicStore, topicProcedure } from 'holdfast/watch';

const path = Type.String({ minLength: 1, maxLength: 255 });
/** What is in a file; null: there is none. */
const text = Type.Union([Type.String(), Type.Null()]);
const version = Type.Integer();

/** A file has changed and is of that version now. Only that is told: whoever wants it reads the newest there is. */
export const Changed = Type.Object({ path, version });

/** The folder's truth: its files in SQLite, and the log of their changes, which commits with them. */
export function createFolder(db: SqliteDatabase) {
  db.exec('CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, version INTEGER NOT NULL, text TEXT)');
  const Service = createServiceSchema();
  const ledger = new SqliteCheckpointStore(db);
  const changes = createTopic({ event: Changed, store: new SqliteTopicStore(db, { name: 'changes' }) });
  const newest = db.prepare('SELECT coalesce(max(version), 0) AS version FROM files');
  const select = db.prepare('SELECT version, text FROM files WHERE path = ?');
  const upsert = db.prepare('INSERT OR REPLACE INTO files (path, version, text) VALUES (?, ?, ?)');
  const all = db.prepare('SELECT path, version FROM files');

  return {
    folder: Service.define({
      put: Procedure.rpc({
        requestInit: Type.Object({ id: Type.String(), path, text }),
        responseData: Type.Object({ version }),
        async handler({ reqInit: { id, path, text } }) {
          const { result } = once(ledger, 'puts', id, () => {
            const version = (newest.get() as { version: number }).version + 1; // the query's one column
            upsert.run(path, version, text);
            changes.publish({ path, version });
            return version;
          });
          return Ok({ version: result });
        },
      }),
      read: Procedure.rpc({
        requestInit: Type.Object({ path }),
        responseData: Type.Object({ version, text }),
        async handler({ reqInit: { path } }) {
          const file = select.get(path) as { version: number; text: string | null } | undefined; // the query's columns
          return Ok({ version: file?.version ?? 0, text: file?.text ?? null });
        },
      }),
      list: Procedure.rpc({
        requestInit: Type.Object({}),
        responseData: Type.Object({ position: PositionSchema, files: Type.Array(Changed) }),
        async handler() {
          const files = all.all() as { path: string; version: number }[]; // the query's columns
          return Ok({ position: changes.head(), files });
        },
      }),
      changes: topicProcedure(changes, { event: Changed, authorize: () => true }),
    }),
  };
}

export type Services = ReturnType<typeof createFolder>;
