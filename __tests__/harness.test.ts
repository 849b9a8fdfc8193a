import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../codec/json.ts';
import { createHarness } from '../testUtil/harness.ts';
import { transportNames } from '../testUtil/links.ts';
import { Echo, Recorder } from './support/ports.ts';

// At the same time: what is left behind is waited for, in real time.
describe.concurrent.each(transportNames)('the harness over %s', (transport) => {
  const setup = () => createHarness({ transport, codec: JsonCodec });

  test('lets a test pass that cleans up', async () => {
    const harness = await setup();
    harness.server();
    harness.client().connect('SERVER');
    await harness.settled();
    await expect(harness[Symbol.asyncDispose]()).resolves.toBeUndefined();
  });

  test('fails a test that leaves a call open', async () => {
    const harness = await setup();
    const echo = new Echo(harness.server());
    const call = new Recorder(harness.client().openSession('SERVER'), 's1');
    call.open({});
    await harness.settled();
    echo.end();
    await expect(harness[Symbol.asyncDispose]()).rejects.toThrow('open calls: client-1: s1');
  });

  test('fails a test that leaves a timer', async () => {
    const harness = await setup();
    harness.clock.after(1_000, () => undefined);
    await expect(harness[Symbol.asyncDispose]()).rejects.toThrow('1 timers');
  });

  test('fails a test that leaves a transport listening', async () => {
    const harness = await setup();
    const forgotten = harness.link.server('FORGOTTEN', { clock: harness.clock });
    await expect(harness[Symbol.asyncDispose]()).rejects.toThrow('1 listeners');
    forgotten.close();
  });

  test('fails a test that leaves a connection', async () => {
    const harness = await setup();
    harness.server();
    const forgotten = harness.link.client('forgotten', { clock: harness.clock, codec: JsonCodec });
    forgotten.connect('SERVER');
    await harness.settled();
    // The server's end is closed with the server; the forgotten client keeps dialling.
    await expect(harness[Symbol.asyncDispose]()).rejects.toThrow('timers');
    forgotten.close();
  });
});
