// The worker's end of the line to the page (link.ts has the other).

/** What every page may say: it has drawn what it was sent. */
export interface Drawn {
  type: "drawn";
}

/** As much of a worker's global scope as is used here; TypeScript's types of it do not go together with the page's. */
interface WorkerScope {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}
const scope = self as unknown as WorkerScope;

/** Milliseconds between reports: thirty a second look live, and leave every other frame to what people do. */
const INTERVAL = 30;

/**
 * Handles the page's messages one after the other, even where they take time, and sends it messages of its own. What is
 * live and can be left out waits until the page has drawn what came before.
 */
export class Outbox<In extends { type: string }, Out extends { type: string }> {
  private isDrawn = true;
  private lastSent = 0;
  private queue: Promise<void> = Promise.resolve();

  constructor(
    private readonly handle: (message: In) => Promise<void> | void,
    private readonly failed: (error: Error) => Out,
  ) {
    scope.addEventListener("message", ({ data }: MessageEvent<In | Drawn>) => {
      if (data.type === "drawn") {
        this.isDrawn = true;
        return;
      }
      this.queue = this.queue
        .then(() => this.handle(data as In))
        .catch((error) => this.send(this.failed(error as Error)));
    });
  }

  /** The page has drawn what it was sent, and may be sent more of what is live. */
  get isFree(): boolean {
    return this.isDrawn && performance.now() - this.lastSent >= INTERVAL;
  }

  send(message: Out, transfer: Transferable[] = []): void {
    this.isDrawn = false;
    this.lastSent = performance.now();
    scope.postMessage(message, transfer);
  }
}
