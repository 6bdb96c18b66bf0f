import type { FloatDType } from "./dtype.ts";
import type { LamellaRuntime } from "./runtime.ts";
import { Resource } from "./scope.ts";
import { formatShape } from "./shape.ts";
import type { TensorHandle } from "./tensor.ts";

/**
 * What a forward call leaves for its backward: handles of its own on its operands, which it lets go when it is
 * disposed, by hand or by its scope. A backward may run any number of times on one cache.
 */
export interface Cache {
  /** Lets go of the operands. A second call does nothing. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** The common part of all caches; each layer adds what it saved. */
export abstract class SavedState extends Resource implements Cache {
  /** The forward call that made it. */
  abstract readonly operation: string;

  constructor(
    readonly runtime: LamellaRuntime,
    readonly dtype: FloatDType,
    /** Of the forward's output, so of the dout that its backward takes. */
    readonly outShape: readonly number[],
    private readonly held: readonly TensorHandle[],
  ) {
    super();
    // They live as long as the cache, whichever scope they were made in.
    for (const handle of held) {
      handle.detach();
      handle.owner = this;
    }
  }

  override toString(): string {
    return `Cache of ${this.operation} for an output ${formatShape(this.outShape)} ${this.dtype}`;
  }

  /** False when one of the tensors that it shows was disposed. */
  holdsAll(): boolean {
    return !this.held.some((handle) => handle.disposed);
  }

  override leaveScopes(): void {
    for (const handle of this.held) handle.leaveScopes();
  }

  protected override release(): void {
    for (const handle of this.held) handle.dispose();
  }
}
