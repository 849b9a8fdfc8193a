// A process that publishes until it is killed, and says so after each publish that returned. Run by crash.test.ts.
import { writeSync } from 'node:fs';
import { Type } from '@sinclair/typebox';
import Database from 'libsql';
import { createTopic, inTransaction, SqliteTopicStore } from '../../../dist/watch/index.js';

const db = new Database(process.argv[2]);
db.exec('PRAGMA journal_mode = WAL');
db.exec('CREATE TABLE IF NOT EXISTS orders (n INTEGER PRIMARY KEY)');
const store = new SqliteTopicStore(db, { name: 'orders' });
const topic = createTopic({ event: Type.Object({ n: Type.Integer() }), store, keep: { events: Infinity } });
const order = db.prepare('INSERT INTO orders (n) VALUES (?)');

for (let n = topic.head().offset + 1; ; ) {
  if (n % 3 === 0) {
    // An outbox: the row and its event, or neither.
    inTransaction(db, () => {
      order.run(n);
      topic.publish({ n });
    });
    n += 1;
  } else if (n % 3 === 1) {
    topic.publishAll([{ n }, { n: n + 1 }]);
    n += 2;
  }
  writeSync(1, `${topic.head().offset}\n`);
}
