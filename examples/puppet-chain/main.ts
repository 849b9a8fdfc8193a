import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Relay } from 'holdfast/testing';
import Database from 'libsql';
import type { Actor } from '../stage/actor.ts';
import { play } from '../stage/stage.ts';
import type { ClientOrder, ClientReport, Figures, HopReport } from './reports.ts';

/** `--naive`: a client that takes a rejection for a yes. */
const mode = process.argv.includes('--naive') ? ['naive'] : [];
const script = (name: string) => new URL(`./${name}.js`, import.meta.url);

await play(async (stage) => {
  const at = (name: string) => join(stage.folder, name);
  const link = async (from: string, to: string): Promise<Relay> => {
    const relay = await Relay.start({ path: at(from) }, { path: at(to) });
    stage.atEnd(() => relay.close());
    return relay;
  };
  const upper = await link('to-provider.sock', 'provider.sock'); // between service and provider
  const lower = await link('to-service.sock', 'service.sock'); // between client and service
  const open = async (name: string, ...args: string[]): Promise<Actor<HopReport>> => {
    const hop = stage.start<HopReport>(name, script(name), ...args);
    await hop.said('open');
    return hop;
  };

  let pose = 0;
  /** Moves the puppet: from now on the file says so, and every cache may still hold the pose before. */
  const move = async (): Promise<number> => {
    pose += 1;
    await writeFile(at('draft'), String(pose));
    await rename(at('draft'), at('judy.pose'));
    return pose;
  };
  await move();

  const provider = await open('provider', at('provider.sock'), stage.folder);
  const service = await open('service', at('service.sock'), at('to-provider.sock'));
  const client = stage.start<ClientReport>('client', script('client'), at('to-service.sock'), ...mode);
  await client.said('read');
  stage.say('client', 'has read pose 1 through two others, and all three have a copy');

  let requests = 0;
  /** Tells the client to do something. @returns the first report of a type that it then makes */
  const order = <T extends ClientReport['type']>(what: ClientOrder, ...types: T[]) => {
    const before = new Set(client.reports.all);
    client.tell(what);
    const isWanted = (type: string) => types.some((wanted) => wanted === type);
    return client.reports.until((report) => isWanted(report.type) && !before.has(report));
  };
  /** Looks at the puppet some times more, and tells how that was. */
  const look = async (): Promise<Figures> => {
    const report = await order({ type: 'look', times: 20 }, 'figures');
    if (report.type !== 'figures') throw new Error(`expected figures, got ${report.type}`);
    return report;
  };
  /** Has the client invalidate, once. @returns whether it was confirmed */
  const invalidate = async (timeoutMs: number): Promise<boolean> => {
    requests += 1;
    const report = await order({ type: 'invalidate', pose, timeoutMs }, 'confirmed', 'unconfirmed');
    if (report.type === 'unconfirmed') stage.say('client', `is told so: ${report.why}`);
    return report.type === 'confirmed';
  };
  /** As often as it takes: an invalidation that was not confirmed may be repeated. */
  const untilConfirmed = async (): Promise<void> => {
    const since = performance.now();
    let times = 1;
    while (!(await invalidate(2_000))) times += 1;
    const took = Math.round(performance.now() - since);
    stage.say('client', `pose ${pose} is confirmed after ${took} ms${times > 1 ? `, asked ${times} times` : ''}`);
  };
  /** The same, once it has been asked for. */
  const begun = async (): Promise<{ end: Promise<void> }> => {
    const asked = client.reports.all.filter(({ type }) => type === 'asked').length;
    const end = untilConfirmed();
    await client.reports.until(() => client.reports.all.filter(({ type }) => type === 'asked').length > asked);
    return { end };
  };

  for (let n = 0; n < 3; n++) {
    await move();
    await untilConfirmed();
  }

  await move();
  stage.say('network', 'both links are cut while the invalidation is under way');
  const underCut = await begun();
  for (const relay of [lower, upper]) relay.cut();
  await underCut.end;

  await move();
  upper.stall();
  stage.say('network', 'nothing passes between service and provider');
  stage.check('what cannot be known is not confirmed', !(await invalidate(300)));
  await look();
  stage.say('client', 'goes on reading the copy it has, which nobody has promised to be the newest');
  upper.resume();
  await untilConfirmed();

  await move();
  upper.stall();
  const underKill = await begun();
  await service.kill();
  stage.say('service', 'is killed with an invalidation under way');
  await open('service', at('service.sock'), at('to-provider.sock'));
  await underKill.end;

  const { clears } = await look();
  await move();
  upper.stall();
  const underOtherKill = await begun();
  await provider.kill();
  stage.say('provider', 'is killed with an invalidation under way');
  upper.cut();
  await open('provider', at('provider.sock'), stage.folder);
  await underOtherKill.end;
  const kept = (await look()).clears;
  stage.check('its history survived it: nobody had to drop everything', kept === clears, `${kept - clears} times`);

  for (let n = 0; n < 3; n++) {
    await move();
    await untilConfirmed();
  }
  await client.said('read', (report) => report.pose === pose);

  const { reads, older, hits } = await look();
  const db = new Database(at('provider.db'));
  const row = db.prepare("SELECT head FROM holdfast_topics WHERE name = 'puppets'").get() as { head: number }; // one column
  db.close();
  stage.check(
    'after a confirmation the client never read an older pose',
    reads > 0 && older === 0,
    `${older} of ${reads} reads`,
  );
  stage.check('the client answered most of them by itself', hits > reads / 2, `${hits} of ${reads}`);
  stage.check(
    'no invalidation came to the provider that the client had not asked for',
    row.head >= pose - 1 && row.head <= requests,
    `${row.head} of ${requests} requests`,
  );
});
