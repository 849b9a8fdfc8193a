import { join } from 'node:path';
import { createClient, unwrapOrThrow } from 'holdfast';
import { Relay } from 'holdfast/testing';
import { UnixDomainSocketClientTransport } from 'holdfast/transport/unix/client';
import { play } from '../stage/stage.ts';
import { Customers } from './customers.ts';
import { compareWithLog } from './judge.ts';
import type { ShopReport } from './reports.ts';
import type { Services } from './services.ts';

/** `--naive`: the projection that was wrong is let go on after the fix, and not rebuilt. */
const isNaive = process.argv.includes('--naive');
const script = new URL('./shop.js', import.meta.url);
const others = ['revenue', 'open-orders', 'labels'];

await play(async (stage) => {
  const open = async (version: string) => {
    const shop = stage.start<ShopReport>('shop', script, stage.folder, version);
    await shop.said('open');
    stage.say('shop', `is open, version ${version}`);
    return shop;
  };
  const first = await open('1');
  const dial = { baseIntervalMs: 20, maxJitterMs: 20, maxBackoffMs: 200 };
  const door = join(stage.folder, 'door.sock');
  const network = await Relay.start({ path: door }, { path: join(stage.folder, 'shop.sock') });
  stage.atEnd(() => network.close());
  const transport = new UnixDomainSocketClientTransport(door, undefined, dial);
  stage.atEnd(() => transport.close());
  const client = createClient<Services>(transport);
  const { projections } = client;

  const status = async () => {
    const { records } = unwrapOrThrow(await projections.status.rpc({}));
    stage.say('status', records.map(({ id, status, at }) => `${id} ${status} ${at}`).join(' · '));
    return new Map(records.map((record) => [record.id, record]));
  };

  const givenUp = new AbortController();
  stage.atEnd(() => givenUp.abort());
  const customers = new Customers(client, givenUp.signal);
  const shopping = customers.shop();
  stage.alongside(shopping);
  await customers.more(60);
  await status();

  stage.say('customers', 'ada gets a present; the projection of loyalty points cannot cope');
  const present = await customers.present('ada');
  await first.said('failed', ({ projection, times }) => projection === 'loyalty' && times === 3);
  await customers.more(25);
  const { last: seen } = customers;
  if (seen === undefined) throw new Error('expected a position after so many commands, got none');
  unwrapOrThrow(await projections.reached.rpc({ position: seen, ids: others }));
  const records = await status();
  const inError = records.get('loyalty');
  stage.say('status', `loyalty: "${inError?.error?.message}", attempt ${inError?.attempt}`);
  stage.check(
    'it stands in front of what it cannot cope with',
    inError?.status === 'error' && inError.error?.at === present && inError.at === present - 1,
    inError?.at,
  );
  stage.check('it was tried again', (inError?.attempt ?? 0) >= 3, `attempt ${inError?.attempt}`);
  const doGoOn = others.every((id) => (records.get(id)?.at ?? 0) >= seen.offset);
  stage.check('the others go on, and so do commands', doGoOn && seen.offset >= present + 25, seen.offset);

  stage.say('operator', 'pauses it until there is a new version');
  unwrapOrThrow(await projections.pause.rpc({ id: 'loyalty' }));
  await customers.more(25);
  stage.check('it is paused', (await status()).get('loyalty')?.status === 'paused');

  await customers.more(1); // just now: no command is under way
  network.halfOpen('down');
  stage.say('network', 'carries no answers any more; commands arrive');
  const answered = customers.last?.offset ?? 0;
  await first.said('appended', ({ offset }) => offset > answered);
  await first.kill();
  network.cut();
  stage.say('shop', 'is killed: it has carried out what nobody has heard of');
  await open('2');
  await customers.more(25);
  const restarted = await status();
  stage.check(
    'it is paused still, and where it was',
    restarted.get('loyalty')?.status === 'paused' && restarted.get('loyalty')?.at === present - 1,
  );

  if (isNaive) {
    stage.say('operator', 'lets it go on with the new version');
    unwrapOrThrow(await projections.reactivate.rpc({ id: 'loyalty' }));
  } else {
    stage.say('operator', 'has it start over with the new version: the old one has rounded wrongly, too');
    unwrapOrThrow(await projections.rebuild.rpc({ id: 'loyalty' }));
  }
  const { last: atRebuild = seen } = customers;
  unwrapOrThrow(await projections.reached.rpc({ position: atRebuild, ids: ['loyalty'] }));
  stage.say('shop', `loyalty has caught up with ${atRebuild.offset} events, and more have come meanwhile`);
  await customers.more(25);

  customers.goHome();
  await shopping;
  const { last: end = seen } = customers;
  unwrapOrThrow(await projections.reached.rpc({ position: end, ids: [...others, 'loyalty'] }));
  const atEnd = await status();
  stage.check(
    'all four are active at the end of the log',
    [...atEnd.values()].every((record) => record.status === 'active' && record.at === end.offset),
    end.offset,
  );
  const { repeated, foundDone } = customers;
  stage.say('customers', `go home; ${repeated} commands were repeated`);
  stage.check('what was carried out without an answer was not carried out again', foundDone > 0, foundDone);
  compareWithLog(stage, customers.done);
});
