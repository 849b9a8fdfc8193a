/** Makes the function by which a process of a play tells the one that prints; the process ends when that one is gone. */
export function reporter<M extends { type: string }>(): (report: M) => void {
  process.on('disconnect', () => process.exit());
  return (report) => void process.send?.(report);
}
