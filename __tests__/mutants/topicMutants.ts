import type { Mutant } from './mutants.ts';

const mirrorTopic = 'watch/mirrorTopic.ts';
const watchKeys = 'watch/watchKeys.ts';
const collection = 'watch/collection.ts';

const mirroring = 'mirroring';
const keys = 'keys';
const collecting = 'collecting';

/** Bugs of what is made of topics: mirrors, watches of keys, collections. */
export const topicMutants: readonly Mutant[] = [
  {
    name: 'a mirror resumes at offset + 1',
    workload: mirroring,
    patches: [
      {
        file: 'watch/follower.ts',
        find: '...(this.#heard !== undefined && { since: this.#heard }),',
        replace: '...(this.#heard !== undefined && { since: { ...this.#heard, offset: this.#heard.offset + 1 } }),',
      },
    ],
  },
  {
    name: 'a mirror does not tell a gap',
    workload: mirroring,
    patches: [
      { file: mirrorTopic, find: "if (beginning === 'gap') {", replace: "if (beginning === 'gap' && !hadBegun) {" },
    ],
  },
  {
    name: 'a mirror keeps its own epoch',
    workload: mirroring,
    patches: [
      {
        file: 'watch/mirror.ts',
        find: 'this.#head = head;',
        replace: 'this.#head = { ...head, epoch: this.#head.epoch };',
      },
    ],
  },
  {
    name: 'of what comes from the origin the rest of a message is lost',
    workload: mirroring,
    patches: [
      { file: 'watch/backlogReader.ts', find: 'this.#rest = this.#rest.slice(limit);', replace: 'this.#rest = [];' },
    ],
  },
  {
    name: 'what comes from the origin comes once more',
    workload: mirroring,
    patches: [
      {
        file: 'watch/backlogReader.ts',
        find: 'this.#position = events.at(-1)?.position ?? this.#position;',
        replace: 'this.#position = events.at(-2)?.position ?? this.#position;',
      },
    ],
  },
  {
    name: 'a key that was removed still fires',
    workload: keys,
    patches: [
      { file: watchKeys, find: 'this.#remove(member);\n        onStopped();', replace: 'onStopped();' },
      {
        file: 'watch/watchCore.ts',
        find: 'if (this.#end !== undefined) return;\n    this.heard = through;',
        replace: 'this.heard = through;',
      },
    ],
  },
  {
    name: 'a new subscription forgets a key',
    workload: keys,
    patches: [
      {
        file: watchKeys,
        find: 'return { keys: [...this.#askedFor] };',
        replace: 'return { keys: [...this.#askedFor].slice(this.#askedFor.size > 1 ? 1 : 0) };',
      },
    ],
  },
  {
    name: 'a key that is added makes no new subscription',
    workload: keys,
    patches: [
      {
        file: watchKeys,
        find: 'this.#isReady && isAsked && this.#askedFor.size === this.#members.size',
        replace: 'this.#isReady && isAsked !== undefined',
      },
    ],
  },
  {
    name: 'whoever has left stays in the roster',
    workload: collecting,
    patches: [{ file: 'watch/watchCollection.ts', find: 'else entries.delete(event.key);', replace: '' }],
  },
  {
    name: 'that somebody has left is not told',
    workload: collecting,
    patches: [
      {
        file: collection,
        find: "return this.#change(key, { type: 'delete', key }, () => this.#entries.delete(key));",
        replace: 'this.#entries.delete(key);\n    return this.topic.head();',
      },
    ],
  },
  {
    name: 'a snapshot has what changed while it was sent',
    workload: collecting,
    patches: [
      { file: 'watch/versionedMap.ts', find: 'this.#readers.size === 0 ||', replace: 'this.#readers.size >= 0 ||' },
    ],
  },
  {
    name: 'a snapshot is said to be of one position later',
    workload: collecting,
    patches: [
      {
        file: collection,
        find: 'return { ...this.#entries.view(keys), position: this.topic.head() };',
        replace:
          'const { epoch, offset } = this.topic.head();\n    return { ...this.#entries.view(keys), position: { epoch, offset: offset + 1 } };',
      },
    ],
  },
];
