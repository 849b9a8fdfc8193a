import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TransactionalConsumer } from '../../consume/consumer.ts';
import { ConsumerStatusError, UnknownConsumerError } from '../../consume/errors.ts';
import { MemoryCheckpointStore, type MemoryTransaction } from '../../consume/memoryStore.ts';
import { type ConsumerStatus, consumerStatuses, statusEdges } from '../../consume/status.ts';
import { MemorySource } from './support/memorySource.ts';
import { Stage } from './support/stage.ts';

/** What can happen to one consumer. */
const actions = [
  'boot',
  'run',
  'pause',
  'reactivate',
  'rebuild',
  'remove',
  'append',
  'break',
  'heal',
  'wait',
  'leave',
  'come back',
  'to-head',
  'forever',
] as const;
type Action = (typeof actions)[number];

/** What a consumer is, in as few words as possible: nothing of the implementation is in it. */
interface Model {
  status: ConsumerStatus | 'none';
  /** What it did before somebody paused it, its handler failed, or it left: innermost last. */
  under: ConsumerStatus[];
  position: number;
  head: number;
  isBroken: boolean;
  isHere: boolean;
  isDue: boolean;
  mode: 'forever' | 'to-head';
}

/** What the model says of an action; false if it is refused. */
function apply(model: Model, action: Action): boolean {
  const set = (status: ConsumerStatus, under: ConsumerStatus[] = []) => Object.assign(model, { status, under });
  const back = () => {
    if (model.status !== 'detached' || !model.isHere) return;
    const [status = 'new', ...under] = model.under;
    set(status, under);
  };
  const run = () => {
    if (model.status === 'none' && model.isHere) set('new');
    if (!model.isHere) {
      if (model.status !== 'detached' && model.status !== 'none') set('detached', [model.status, ...model.under]);
      return;
    }
    // A run brings back, or retries: what is back in `error` is retried by the next one.
    if (model.status === 'detached') back();
    else if (model.status === 'error' && model.isDue) set(model.under.at(-1) ?? 'new');
    if (model.status !== 'booting' && model.status !== 'active') return;
    if (model.position < model.head && model.isBroken) {
      model.isDue = false;
      set('error', [model.status]);
      return;
    }
    model.position = model.head;
    set(model.mode === 'to-head' ? 'finished' : 'active');
  };
  const refusedIn = (...statuses: Model['status'][]) => {
    if (!model.isHere) return true;
    if (model.status === 'none') set('new');
    back();
    return statuses.includes(model.status);
  };
  switch (action) {
    case 'boot':
      if (!model.isHere) return false;
      refusedIn();
      if (model.status === 'new') {
        model.position = 0;
        set('booting');
      }
      run();
      return true;
    case 'run':
      run();
      return true;
    case 'pause': {
      const before = structuredClone(model);
      if (refusedIn('finished')) {
        Object.assign(model, before);
        return false;
      }
      if (model.status !== 'paused') set('paused', model.status === 'none' ? [] : [model.status, ...model.under]);
      // Of a pause in the middle of an error only what is under both is known.
      else if (before.status === 'detached') Object.assign(model, before);
      return true;
    }
    case 'reactivate': {
      const before = structuredClone(model);
      if (!model.isHere) return false;
      if (refusedIn('none', 'new', 'booting', 'active')) {
        Object.assign(model, before);
        return true;
      }
      set(model.status === 'finished' ? 'booting' : (model.under.at(-1) ?? 'new'));
      return true;
    }
    case 'rebuild': {
      const before = structuredClone(model);
      if (refusedIn('new')) {
        Object.assign(model, before);
        return false;
      }
      model.position = 0;
      set('booting');
      return true;
    }
    case 'remove':
      if (!model.isHere && model.status === 'none') return false;
      Object.assign(model, { status: 'none', under: [], position: 0 });
      return true;
    case 'append':
      model.head += 1;
      return true;
    case 'break':
    case 'heal':
      model.isBroken = action === 'break';
      return true;
    case 'wait':
      model.isDue = true;
      return true;
    case 'leave':
    case 'come back':
      model.isHere = action === 'come back';
      return true;
    case 'to-head':
    case 'forever':
      model.mode = action;
      return true;
    default:
      return action satisfies never;
  }
}

/** The edges that were taken in any run. */
const taken = new Set<string>();

async function follow(sequence: readonly Action[]): Promise<void> {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const store = new MemoryCheckpointStore();
  const save = store.save.bind(store);
  store.save = (engine, record) => {
    const before = store.load(engine, record.id)?.status;
    if (before !== undefined && before !== record.status) taken.add(`${before} → ${record.status}`);
    return save(engine, record);
  };
  const model: Model = {
    status: 'none',
    under: [],
    position: 0,
    head: 0,
    isBroken: false,
    isHere: true,
    isDue: false,
    mode: 'forever',
  };
  const engineNow = () => {
    const consumer: TransactionalConsumer<number, MemoryTransaction> = {
      id: 'a',
      mode: model.mode,
      handle: () => {
        if (model.isBroken) throw new Error('broken');
      },
    };
    return stage.engine({ source, store, consumers: model.isHere ? [consumer] : [] });
  };
  let engine = engineNow();
  for (const [n, action] of sequence.entries()) {
    const isAllowed = apply(model, action);
    let call: Promise<unknown> = Promise.resolve();
    if (action === 'boot') call = engine.boot(['a']);
    else if (action === 'append') source.append(1);
    else if (action === 'wait') await stage.advance(60_001);
    else if (action === 'run') call = engine.run();
    else if (action === 'pause' || action === 'reactivate' || action === 'rebuild' || action === 'remove')
      call = engine[action]('a');
    else engine = engineNow();
    const error = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    const where = `after ${sequence.slice(0, n + 1).join(', ')}`;
    if (isAllowed) expect(error, where).toBeUndefined();
    else expect(error instanceof ConsumerStatusError || error instanceof UnknownConsumerError, where).toBe(true);
    const record = store.load('default', 'a');
    expect(record?.status ?? 'none', where).toBe(model.status);
    if (record !== undefined && record.status !== 'new')
      expect(record.position?.offset ?? 0, where).toBe(model.position);
  }
}

test('any sequence of what can happen leads where the model says', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom(...actions), { minLength: 1, maxLength: 30 }), follow), {
    numRuns: 300,
  });
}, 60_000);

test.each<[string, readonly Action[]]>([
  ['new → paused → new', ['run', 'pause', 'reactivate']],
  ['new → detached → new', ['run', 'leave', 'run', 'come back', 'run']],
  ['booting → paused → booting', ['boot', 'append', 'rebuild', 'pause', 'reactivate']],
  ['booting → error → booting', ['append', 'break', 'boot', 'heal', 'wait', 'run']],
  ['booting → finished → booting', ['to-head', 'boot', 'reactivate']],
  ['booting → detached → booting', ['boot', 'rebuild', 'leave', 'run', 'come back', 'reactivate', 'rebuild']],
  ['active → booting', ['boot', 'rebuild']],
  ['active → error → active', ['boot', 'append', 'break', 'run', 'heal', 'wait', 'run']],
  ['active → paused → active', ['boot', 'pause', 'reactivate']],
  ['active → finished → detached → finished', ['boot', 'to-head', 'run', 'leave', 'run', 'come back', 'run']],
  ['active → detached → active', ['boot', 'leave', 'run', 'come back', 'run']],
  ['paused → booting', ['boot', 'pause', 'rebuild']],
  ['paused → detached → paused', ['boot', 'pause', 'leave', 'run', 'come back', 'run']],
  ['error → paused → active', ['boot', 'append', 'break', 'run', 'pause', 'reactivate']],
  ['error → detached → error', ['boot', 'append', 'break', 'run', 'leave', 'run', 'come back', 'run']],
  ['detached → booting', ['boot', 'leave', 'run', 'come back', 'rebuild']],
])('%s', (_name, sequence) => follow(sequence));

test('every edge of the table was taken, no other was, and every status can be come to', () => {
  const table = Object.entries(statusEdges).flatMap(([from, to]) => to.map((status) => `${from} → ${status}`));
  expect([...taken].sort()).toEqual(table.sort());
  expect(new Set(table.map((edge) => edge.split(' → ')[1]))).toEqual(new Set(consumerStatuses));
});
