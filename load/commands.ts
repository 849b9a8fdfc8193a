/** What a process of a load run can be told to do, by name. Its answers travel as JSON. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>;

/** One command on its way to a process. */
export interface Order {
  id: number;
  name: string;
  argument: unknown;
}

/** What became of it. */
export type Report = { id: number; answer: unknown } | { id: number; failure: string };

/** Does as the parent process says, and ends with it. */
export function obey(commands: Commands): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message) => {
    const { id, name, argument } = message as Order; // our own parent, our own type
    const command = commands[name];
    const report = (report: Report) => process.send?.(report);
    const run = async () => {
      if (command === undefined) throw new Error(`no such command: ${name}`);
      // The sender's types have checked it: see Worker.ask.
      return command(argument as never);
    };
    run().then(
      (answer) => report({ id, answer }),
      (error: unknown) => report({ id, failure: error instanceof Error ? (error.stack ?? error.message) : `${error}` }),
    );
  });
}
