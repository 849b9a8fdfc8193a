import { expect, test } from 'vitest';
import { subscribe, using } from './support/subscribe.ts';

/** Permissions that the test gives, in the order in which they are asked for. */
function asked<P>() {
  const answers: ((permission: P) => void)[] = [];
  return { answers, authorize: () => new Promise<P>((resolve) => answers.push(resolve)) };
}

test('who is asked about again while it reads a long history is sent no more of it until the answer', async () => {
  const { answers, authorize } = asked<boolean>();
  await using({ authorize, batch: 1 }, async (served) => {
    const { epoch } = served.topic.head();
    for (let n = 1; n <= 50; n++) served.publish(n);
    const { numbers } = subscribe(served, { since: { epoch, offset: 0 } });
    await served.h.settled();
    answers[0]?.(true);
    while (numbers().length === 0) await new Promise((resolve) => setImmediate(resolve));
    void served.services.docs.procedures.changes.reauthorize();
    await served.h.settled();
    const { length } = numbers();
    expect(length).toBeLessThan(50);
    answers[1]?.(true);
    await served.h.settled();
    expect(numbers()).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  });
});

test('of two questions the answer to the later one counts', async () => {
  const { answers, authorize } = asked<boolean>();
  await using({ authorize }, async (served) => {
    const { heard } = subscribe(served);
    await served.h.settled();
    answers[0]?.(true);
    await served.h.settled();
    const { changes } = served.services.docs.procedures;
    void changes.reauthorize();
    void changes.reauthorize();
    answers[1]?.(true);
    served.publish(1);
    await served.h.settled();
    expect(heard).toMatchObject([{ type: 'ready' }]);
    answers[2]?.(false);
    await served.h.settled();
    expect(heard.slice(1)).toEqual([{ code: 'NOT_AUTHORIZED' }]);
  });
});

test('who cannot be asked about again is ended, not refused, and whoever called is told', async () => {
  let failing = false;
  const authorize = () => {
    if (failing) throw new Error('the directory is down');
    return true;
  };
  await using({ authorize }, async (served) => {
    const [one, two] = [subscribe(served), subscribe(served)];
    await served.h.settled();
    failing = true;
    const asking = served.services.docs.procedures.changes.reauthorize();
    served.publish(1);
    await expect(asking).rejects.toMatchObject({
      message: 'authorize failed for 2 of 2 subscriptions',
      errors: [{ message: 'the directory is down' }, { message: 'the directory is down' }],
    });
    await served.h.settled();
    for (const { heard } of [one, two]) expect(heard).toMatchObject([{ type: 'ready' }, { code: 'CANCEL' }]);
    expect(served.server.openCalls).toBe(0);
    failing = false;
    await served.services.docs.procedures.changes.reauthorize();
  });
});

test('a permission that another has taken the place of can be taken back no more', async () => {
  const controllers: AbortController[] = [];
  const authorize = () => {
    const controller = new AbortController();
    controllers.push(controller);
    return { revoked: controller.signal };
  };
  await using({ authorize }, async (served) => {
    const { heard, numbers } = subscribe(served);
    await served.h.settled();
    await served.services.docs.procedures.changes.reauthorize();
    controllers[0]?.abort();
    served.publish(1);
    await served.h.settled();
    expect(numbers()).toEqual([1]);
    controllers[1]?.abort();
    await served.h.settled();
    expect(heard.at(-1)).toEqual({ code: 'NOT_AUTHORIZED' });
  });
});

test('a permission that is taken back just after it was looked at permits nothing', async () => {
  const controller = new AbortController();
  const permission = {
    get revoked() {
      queueMicrotask(() => controller.abort());
      return controller.signal;
    },
  };
  await using({ authorize: () => permission }, async (served) => {
    const { heard } = subscribe(served);
    served.publish(1);
    await served.h.settled();
    expect(heard).toEqual([{ code: 'NOT_AUTHORIZED' }]);
    expect(served.server.openCalls).toBe(0);
  });
});
