import { IdentifiedState, SessionState, startGrace } from './common.ts';
import type { SessionCore } from './core.ts';
import { createHandle } from './revocable.ts';

/** The client waits before it dials again. */
export class SessionBackingOff extends IdentifiedState {
  readonly state = SessionState.BackingOff;
  readonly handle: SessionBackingOff;
  /** Milliseconds from entering the state. */
  readonly backoffMs: number;

  constructor(core: SessionCore, backoffMs: number) {
    super(core);
    this.backoffMs = backoffMs;
    this.handle = createHandle<SessionBackingOff>(this);
  }

  onEnter(): void {
    const { owner, clock } = this.core.env;
    this.own(startGrace(this.core, this.handle));
    this.own(clock.after(this.backoffMs, () => owner.onBackoffElapsed(this.handle)));
  }

  protected onEnd(): void {}
}
