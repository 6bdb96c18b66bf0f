import type { Block } from "../runtime/allocator.ts";
import type { Memory } from "../runtime/memory.ts";

/**
 * A block of the memory and how many handles use it. The finalizer holds this, and nothing that
 * handles hold.
 */
export interface Lease {
  block: Block | null;
  handles: number;
}

/**
 * All handles on the same data point to one Storage. It is a separate object so that it can be
 * collected: when no handle is left, disposed or not, the finalizer gives the lease's block back.
 */
export class Storage {
  /** Byte address; 0 where there are no elements. */
  readonly address: number;
  private registered = false;

  constructor(
    readonly lease: Lease,
    private readonly books: Books,
  ) {
    this.address = lease.block?.address ?? 0;
  }

  /** One more handle. */
  retain(): this {
    this.lease.handles++;
    this.books.tensors++;
    return this;
  }

  /** One handle less; the last one gives the block back. */
  release(): void {
    this.lease.handles--;
    this.books.tensors--;
    if (this.lease.handles === 0) this.books.returnBlock(this.lease);
  }

  /** Lets the garbage collector give the block back if nobody else does. */
  register(): void {
    if (this.registered) return;
    this.registered = true;
    this.books.finalizer?.register(this, this.lease);
  }
}

/** Counts what is live of one runtime, and takes back what was forgotten. */
export class Books {
  /** Handles that have not been disposed, those that caches hold among them. */
  tensors = 0;
  readonly finalizer: FinalizationRegistry<Lease> | null;

  constructor(private readonly memory: Memory) {
    this.finalizer =
      typeof FinalizationRegistry === "function"
        ? new FinalizationRegistry((lease) => {
            this.tensors -= lease.handles;
            lease.handles = 0;
            this.returnBlock(lease);
          })
        : null;
  }

  returnBlock(lease: Lease): void {
    if (lease.block) this.memory.release(lease.block);
    lease.block = null;
  }
}
