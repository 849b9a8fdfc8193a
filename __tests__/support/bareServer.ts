import type { Codec } from '../../codec/codec.ts';
import type { Link } from '../../testUtil/links.ts';
import { BarePeer } from './barePeer.ts';

/** A server that a test plays by hand, one connection after the other. */
export class BareServer implements Disposable {
  /** Every connection that was dialled, in order. */
  readonly peers: BarePeer[] = [];
  #taken = 0;
  #wake: () => void = () => undefined;
  readonly #stop: () => void;

  constructor(link: Link, codec: Codec, to = 'SERVER') {
    this.#stop = link.listen(to, (connection) => {
      this.peers.push(new BarePeer(connection, codec));
      this.#wake();
    });
  }

  /** The next connection nobody has taken yet. */
  async accepted(): Promise<BarePeer> {
    for (;;) {
      const peer = this.peers[this.#taken];
      if (peer !== undefined) {
        this.#taken += 1;
        return peer;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  [Symbol.dispose](): void {
    this.#stop();
    for (const peer of this.peers) peer.close();
  }
}
