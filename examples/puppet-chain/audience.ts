import type { Actor } from '../stage/actor.ts';
import type { Stage } from '../stage/stage.ts';
import type { ClientOrder, ClientReport, Figures } from './reports.ts';

/** The client's process, as the one that tells it what to do sees it. */
export class Audience {
  /** How often it has asked for an invalidation. */
  requests = 0;
  readonly #stage: Stage;
  readonly #client: Actor<ClientReport>;

  constructor(stage: Stage, client: Actor<ClientReport>) {
    this.#stage = stage;
    this.#client = client;
  }

  /** Has it look at the puppet some times more, and tell how that was. */
  async look(): Promise<Figures> {
    const report = await this.#order({ type: 'look', times: 20 }, 'figures');
    if (report.type !== 'figures') throw new Error(`expected figures, got ${report.type}`);
    return report;
  }

  /** Has it invalidate, once. @returns whether it was confirmed */
  async invalidate(pose: number, timeoutMs: number): Promise<boolean> {
    this.requests += 1;
    const report = await this.#order({ type: 'invalidate', pose, timeoutMs }, 'confirmed', 'unconfirmed');
    if (report.type === 'unconfirmed') this.#stage.say('client', `is told so: ${report.why}`);
    return report.type === 'confirmed';
  }

  /** As often as it takes: an invalidation that was not confirmed may be repeated. */
  async untilConfirmed(pose: number): Promise<void> {
    const since = performance.now();
    let times = 1;
    while (!(await this.invalidate(pose, 2_000))) times += 1;
    const took = Math.round(performance.now() - since);
    this.#stage.say('client', `pose ${pose} is confirmed after ${took} ms${times > 1 ? `, asked ${times} times` : ''}`);
  }

  /** The same; resolves as soon as the client has asked for it. */
  async begin(pose: number): Promise<{ end: Promise<void> }> {
    const asked = this.#next('asked');
    const end = this.untilConfirmed(pose);
    await asked;
    return { end };
  }

  #order(what: ClientOrder, ...types: ClientReport['type'][]): Promise<ClientReport> {
    const report = this.#next(...types);
    this.#client.tell(what);
    return report;
  }

  /** The first report of one of these types from now on. */
  #next(...types: ClientReport['type'][]): Promise<ClientReport> {
    const { reports } = this.#client;
    const before = new Set(reports.all);
    return reports.until((report) => types.includes(report.type) && !before.has(report));
  }
}
