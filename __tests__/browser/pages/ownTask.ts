/**
 * Runs `fn` in a task of the page's own. What a debugger calls may generate code whatever the page's policy says, for as
 * long as the call runs. No timer: those of a hidden page are late.
 */
export function inOwnTask<T>(fn: () => T | Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = async () => {
      port1.close();
      try {
        resolve(await fn());
      } catch (error) {
        reject(error);
      }
    };
    port2.postMessage(undefined);
  });
}
