// The exports of shared builds: those of index.ts, and the pool's.

export * from "./index";
import { closeQueue, failQueue, openQueue, work } from "./threads/queue";

/** The queue for so many threads, the caller among them, before any worker runs. */
export function threads_open(threads: u32, may_sleep: bool): void {
  openQueue(threads, may_sleep);
}

/** The life of worker number `thread`, from 1 up: returns when the queue is closed. */
export function threads_work(thread: usize): void {
  work(thread);
}

/** Ends all workers. */
export function threads_close(): void {
  closeQueue();
}

/** Tells a caller who waits that a worker has died; it traps. */
export function threads_fail(): void {
  failQueue();
}
