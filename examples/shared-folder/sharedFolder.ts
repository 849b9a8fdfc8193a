import { randomUUID } from 'node:crypto';
import {
  CallError,
  type Client,
  type ErrorPayload,
  type Result,
  UNEXPECTED_DISCONNECT_CODE,
  unwrapOrThrow,
} from 'holdfast';
import { type Watch, watch } from 'holdfast/watch';
import { readText, writeText } from './files.ts';
import { FolderEye } from './folderEye.ts';
import type { Services } from './services.ts';

/** What a file's folder and the server have last agreed on. */
interface Agreed {
  readonly version: number;
  readonly text: string | null;
}

/**
 * Keeps a folder like everybody else's. A change is told from its echo by what is in the file: what was agreed on is no change,
 * whoever wrote it. Of two changes to one file at once the later one to arrive at the server wins.
 */
export class SharedFolder {
  readonly #folder: string;
  readonly #client: Client<Services>;
  readonly #isNaive: boolean;
  readonly #eye: FolderEye;
  readonly #versions: Watch<Map<string, number>>;
  readonly #agreed = new Map<string, Agreed>();
  /** Files that are being settled; true: something happened to them meanwhile. */
  readonly #settling = new Map<string, boolean>();

  constructor(folder: string, client: Client<Services>, isNaive: boolean) {
    this.#folder = folder;
    this.#client = client;
    this.#isNaive = isNaive;
    this.#eye = new FolderEye(folder, (path) => this.#touch(path));
    this.#versions = watch(client.folder.changes, {
      load: async ({ signal }) => {
        const { files, position } = unwrapOrThrow(await client.folder.list.rpc({}, { signal }));
        return { value: new Map(files.map(({ path, version }) => [path, version])), position };
      },
      apply: (versions, { path, version }) => versions.set(path, version),
    });
    this.#versions.onChange(() => {
      for (const [path, version] of this.#versions.value ?? []) {
        if (version > (this.#agreed.get(path)?.version ?? 0)) this.#touch(path);
      }
    });
    void this.#eye.look();
  }

  close(): void {
    this.#eye.close();
    this.#versions.dispose();
  }

  /** Something has happened to a file, here or there. One at a time looks after it. */
  #touch(path: string): void {
    if (this.#settling.has(path)) this.#settling.set(path, true);
    else void this.#settle(path);
  }

  async #settle(path: string): Promise<void> {
    do {
      this.#settling.set(path, false);
      while (!(await this.#isSettled(path)));
    } while (this.#settling.get(path) === true);
    this.#settling.delete(path);
  }

  /** One step towards being alike. @returns true if there was none to take */
  async #isSettled(path: string): Promise<boolean> {
    const agreed = this.#agreed.get(path) ?? { version: 0, text: null };
    const here = await readText(this.#folder, path);
    if (here !== agreed.text) {
      this.#agreed.set(path, { version: await this.#put(path, here), text: here });
      return false;
    }
    if ((this.#versions.value?.get(path) ?? 0) <= agreed.version) return true;
    const there = await this.#read(path);
    // Changed here while we asked: that goes there first, or it would be lost.
    if ((await readText(this.#folder, path)) !== agreed.text) return false;
    // Before it is written: from then on the file is what was agreed on, and no change to be sent.
    this.#agreed.set(path, there);
    await writeText(this.#folder, path, there.text);
    if (this.#isNaive && there.text !== agreed.text) await this.#put(path, there.text); // "the file has changed!"
    return false;
  }

  /** The same id each time: what was done although nobody answered is not done again. */
  async #put(path: string, text: string | null): Promise<number> {
    const id = randomUUID();
    return (await this.#untilAnswered(() => this.#client.folder.put.rpc({ id, path, text }))).version;
  }

  #read(path: string): Promise<Agreed> {
    return this.#untilAnswered(() => this.#client.folder.read.rpc({ path }));
  }

  async #untilAnswered<T, E extends ErrorPayload>(call: () => Promise<Result<T, E>>): Promise<T> {
    for (;;) {
      const result = await call(); // without a connection it waits for one
      if (result.ok) return result.payload;
      if (result.payload.code !== UNEXPECTED_DISCONNECT_CODE) throw new CallError(result.payload);
    }
  }
}
