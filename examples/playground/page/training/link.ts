// The page's end of the line to a worker.

/** A handler for each type of message. */
export type Handlers<Message extends { type: string }> = {
  [Type in Message["type"]]: (message: Extract<Message, { type: Type }>) => void;
};

/**
 * Handles what a worker sends in animation frames, and lets it know when that has been drawn, so that a worker never sends
 * faster than the page draws.
 */
export class Link<ToWorker extends { type: string }, FromWorker extends { type: string }> {
  private readonly worker: Worker;
  private inbox: FromWorker[] = [];

  constructor(script: string, handlers: Handlers<FromWorker>, failed: (message: string) => void) {
    this.worker = new Worker(script, { type: "module" });
    this.worker.addEventListener("error", ({ message }) => failed(message || `${script} failed`));
    this.worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      if (this.inbox.push(data) === 1) requestAnimationFrame(() => this.deliver(handlers));
    });
  }

  post(message: ToWorker, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }

  close(): void {
    this.worker.terminate();
  }

  private deliver(handlers: Handlers<FromWorker>): void {
    const messages = this.inbox;
    this.inbox = [];
    for (const message of messages) {
      const handler = handlers[message.type as FromWorker["type"]] as (message: unknown) => void;
      handler(message);
    }
    this.worker.postMessage({ type: "drawn" });
  }
}
