import { expect, test } from 'vitest';
import { type Attempt, KeyedRun, type RunHost } from '../../router/keyedRun.ts';
import { Ok } from '../../router/result.ts';
import { createRoutes } from '../../router/routes.ts';
import { NO_SPAN } from '../../transport/telemetry.ts';
import { FakePort } from '../support/fakePort.ts';
import { shopOf, Till } from '../support/shop.ts';

test('a run keeps nobody who does not wait any more, and tells each of the others once', async () => {
  const till = new Till();
  const procedure = createRoutes(shopOf(till), {}, []).routes.get('orders')?.get('place');
  if (procedure === undefined) throw new Error('the shop has no place');
  const told: string[] = [];
  const attempt = (name: string): Attempt => ({
    port: new FakePort(),
    streamId: name,
    span: NO_SPAN,
    deadlineAt: undefined,
    procedure,
    reqInit: { item: 'book' },
    isRepeat: false,
    answer: (result) => told.push(`${name} ${result.ok}`),
    refuse: (error) => told.push(`${name} ${error.code}`),
  });
  let open = 0;
  const host: RunHost = {
    exposeErrorMessages: false,
    stripUndeclared: false,
    began: () => {
      open += 1;
    },
    done: () => {
      open -= 1;
    },
    onHandlerFailed: (_run, what) => told.push(what),
  };
  const [first, second, third] = [attempt('first'), attempt('second'), attempt('third')];
  const run = new KeyedRun(host, { id: 'a', principal: 'ann', requestHash: '', expiresAt: 0 }, first);
  for (const one of [first, second, third]) run.join(one);
  run.leave(first);
  const outcome = await run.execute();
  expect(outcome).toEqual(Ok({ number: 1 }));
  run.tell(outcome);
  run.leave(second);
  run.refuse({ code: 'OUTCOME_UNKNOWN', message: '' });
  expect(told).toEqual(['second true', 'third true', 'third OUTCOME_UNKNOWN']);
  expect(till.cleanups).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(open).toBe(0);
});
