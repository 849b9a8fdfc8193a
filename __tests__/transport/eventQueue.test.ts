import { describe, expect, test } from 'vitest';
import { EventQueue } from '../../transport/eventQueue.ts';

function setup() {
  const errors: unknown[] = [];
  const log: string[] = [];
  return { errors, log, queue: new EventQueue((error) => errors.push(error)) };
}

describe('the event queue', () => {
  test('handles an event at once where nothing else is under way', () => {
    const { queue, log } = setup();
    queue.post({ _isConsumed: false, name: 'a' }, (state, argument: number) => log.push(`${state.name}${argument}`), 1);
    queue.run(() => log.push('task'));
    expect(log).toEqual(['a1', 'task']);
  });

  test('runs to completion: what happens during an event waits for its end, in order', () => {
    const { queue, log } = setup();
    const state = { _isConsumed: false };
    const nested = (name: string) => () => {
      log.push(`${name} begins`);
      queue.run(() => log.push(`caused by ${name}`));
      queue.post(state, () => log.push(`posted by ${name}`), undefined);
      log.push(`${name} ends`);
    };
    queue.post(state, nested('first'), undefined);
    queue.run(nested('second'));
    expect(log).toEqual([
      'first begins',
      'first ends',
      'caused by first',
      'posted by first',
      'second begins',
      'second ends',
      'caused by second',
      'posted by second',
    ]);
  });

  test('events caused by waiting events come after those that waited before them', () => {
    const { queue, log } = setup();
    queue.run(() => {
      queue.run(() => {
        log.push('1');
        queue.run(() => log.push('1.1'));
      });
      queue.run(() => log.push('2'));
    });
    expect(log).toEqual(['1', '2', '1.1']);
  });

  test('drops an event whose state is consumed when it is posted', () => {
    const { queue, log } = setup();
    queue.post({ _isConsumed: true }, () => log.push('handled'), undefined);
    expect(log).toEqual([]);
  });

  test('drops an event whose state is consumed by its turn, and only that one', () => {
    const { queue, log } = setup();
    const old = { _isConsumed: false };
    const other = { _isConsumed: false };
    queue.run(() => {
      queue.post(old, () => log.push('old'), undefined);
      queue.post(other, () => log.push('other'), undefined);
      queue.run(() => log.push('task'));
      old._isConsumed = true;
    });
    expect(log).toEqual(['other', 'task']);
  });

  test('an event that consumes its state takes the later ones with it', () => {
    const { queue, log } = setup();
    const state = { _isConsumed: false };
    queue.run(() => {
      for (const n of [1, 2, 3])
        queue.post(
          state,
          (old) => {
            log.push(`${n}`);
            old._isConsumed = true;
          },
          undefined,
        );
    });
    expect(log).toEqual(['1']);
  });

  test('one that throws is reported, and harms neither those that wait nor those that come', () => {
    const { queue, log, errors } = setup();
    const state = { _isConsumed: false };
    const fail = (message: string) => () => {
      throw new Error(message);
    };
    queue.post(
      state,
      () => {
        queue.run(() => log.push('waited'));
        queue.run(fail('task'));
        queue.post(state, fail('posted'), undefined);
        queue.run(() => log.push('waited too'));
        fail('first')();
      },
      undefined,
    );
    queue.run(fail('later'));
    queue.run(() => log.push('still works'));
    expect(log).toEqual(['waited', 'waited too', 'still works']);
    expect(errors.map((error) => (error instanceof Error ? error.message : error))).toEqual([
      'first',
      'task',
      'posted',
      'later',
    ]);
  });

  test('runs something within the turn that is under way, or as a turn of its own', () => {
    const { queue, log } = setup();
    queue.run(() => {
      queue.run(() => log.push('waits'));
      queue.within(() => {
        log.push('within');
        queue.run(() => log.push('caused within'));
      });
      log.push('turn ends');
    });
    expect(log).toEqual(['within', 'turn ends', 'waits', 'caused within']);
    queue.within(() => {
      queue.run(() => log.push('after'));
      log.push('alone');
    });
    expect(log.slice(4)).toEqual(['alone', 'after']);
  });

  test('takes a chain of any length without growing the stack', () => {
    const { queue, errors } = setup();
    let left = 100_000;
    const step = () => {
      left -= 1;
      if (left > 0) queue.run(step);
    };
    queue.run(step);
    expect(left).toBe(0);
    expect(errors).toEqual([]);
  });
});
