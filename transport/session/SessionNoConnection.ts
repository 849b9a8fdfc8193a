import { IdentifiedState, SessionState, startGrace } from './common.ts';
import type { SessionCore } from './core.ts';
import { createHandle } from './revocable.ts';

/** The session lives and has no connection. Entry of the client's graph, refuge of both. */
export class SessionNoConnection extends IdentifiedState {
  readonly state = SessionState.NoConnection;
  readonly handle: SessionNoConnection;

  constructor(core: SessionCore) {
    super(core);
    this.handle = createHandle<SessionNoConnection>(this);
  }

  onEnter(): void {
    this.own(startGrace(this.core, this.handle));
  }

  protected onEnd(): void {}
}
