/** Everything that reaches the process while it is watched: exceptions, rejections and warnings nobody took. */
export interface WatchedProcess extends Disposable {
  readonly seen: readonly string[];
}

/** Watches until it is disposed of. */
export function watchProcess(): WatchedProcess {
  const seen: string[] = [];
  const onException = (error: unknown) => void seen.push(`uncaughtException: ${String(error)}`);
  const onRejection = (error: unknown) => void seen.push(`unhandledRejection: ${String(error)}`);
  // Overflowing timers and leaking listeners are told this way. Others (a new feature of Node, say) are not ours.
  const onWarning = ({ name, message }: Error) => {
    if (/TimeoutOverflow|TimeoutNegative|MaxListeners/.test(name)) seen.push(`warning: ${name}: ${message}`);
  };
  process.on('uncaughtException', onException);
  process.on('unhandledRejection', onRejection);
  process.on('warning', onWarning);
  return {
    seen,
    [Symbol.dispose]() {
      process.off('uncaughtException', onException);
      process.off('unhandledRejection', onRejection);
      process.off('warning', onWarning);
    },
  };
}
