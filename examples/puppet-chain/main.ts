import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Relay } from 'holdfast/testing';
import Database from 'libsql';
import type { Actor } from '../stage/actor.ts';
import { play } from '../stage/stage.ts';
import { Audience } from './audience.ts';
import type { ClientReport, HopReport } from './reports.ts';

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
  const move = async (): Promise<void> => {
    pose += 1;
    await writeFile(at('draft'), String(pose));
    await rename(at('draft'), at('judy.pose'));
  };
  await move();

  const provider = await open('provider', at('provider.sock'), stage.folder);
  const service = await open('service', at('service.sock'), at('to-provider.sock'));
  const client = stage.start<ClientReport>('client', script('client'), at('to-service.sock'), ...mode);
  await client.said('read');
  stage.say('client', 'has read pose 1 through two others, and all three have a copy');

  const audience = new Audience(stage, client);

  for (let n = 0; n < 3; n++) {
    await move();
    await audience.untilConfirmed(pose);
  }

  await move();
  stage.say('network', 'both links are cut while the invalidation is under way');
  const underCut = await audience.begin(pose);
  for (const relay of [lower, upper]) relay.cut();
  await underCut.end;

  await move();
  upper.stall();
  stage.say('network', 'nothing passes between service and provider');
  stage.check('what cannot be known is not confirmed', !(await audience.invalidate(pose, 300)));
  await audience.look();
  stage.say('client', 'goes on reading the copy it has, which nobody has promised to be the newest');
  upper.resume();
  await audience.untilConfirmed(pose);

  await move();
  upper.stall();
  const underKill = await audience.begin(pose);
  await service.kill();
  stage.say('service', 'is killed with an invalidation under way');
  await open('service', at('service.sock'), at('to-provider.sock'));
  await underKill.end;

  const { clears } = await audience.look();
  await move();
  upper.stall();
  const underOtherKill = await audience.begin(pose);
  await provider.kill();
  stage.say('provider', 'is killed with an invalidation under way');
  upper.cut();
  await open('provider', at('provider.sock'), stage.folder);
  await underOtherKill.end;
  const kept = (await audience.look()).clears;
  stage.check('its history survived it: nobody had to drop everything', kept === clears, `${kept - clears} times`);

  for (let n = 0; n < 3; n++) {
    await move();
    await audience.untilConfirmed(pose);
  }
  await client.said('read', (report) => report.pose === pose);

  const { reads, older, hits } = await audience.look();
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
    row.head >= pose - 1 && row.head <= audience.requests,
    `${row.head} of ${audience.requests} requests`,
  );
});
