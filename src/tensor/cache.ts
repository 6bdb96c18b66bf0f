import type { FloatDType } from "./dtype.ts";
import { Resource } from "./scope.ts";
import { formatShape } from "./shape.ts";
import type { TensorHandle, TensorRuntime } from "./tensor.ts";

/**
 * What a forward call leaves for its backward: handles of its own on its operands, which it lets go
 * when it is disposed, by hand or by its scope. A backward may run any number of times on one
 * cache.
 */
export interface Cache {
  /** Lets go of the operands. A second call does nothing. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** What a cache holds. */
export interface Saved {
  /** The forward call that made it. */
  readonly operation: string;
  readonly runtime: TensorRuntime;
  readonly dtype: FloatDType;
  /** The shape of the forward's output, which is that of the dout that its backward takes. */
  readonly outShape: readonly number[];
}

/**
 * The common part of all caches. What it holds is private, as backward calls go by it; each layer
 * shows of it what its users may see.
 */
export abstract class SavedState<S extends Saved = Saved> extends Resource implements Cache {
  readonly #saved: S;
  readonly #held: readonly TensorHandle[];

  constructor(saved: S, held: readonly TensorHandle[]) {
    super();
    this.#saved = saved;
    this.#held = held;
    // They live as long as the cache, whichever scope they were made in.
    for (const handle of held) {
      handle.detach();
      handle.owner = this;
    }
  }

  override toString(): string {
    const { operation, outShape, dtype } = this.#saved;
    return `Cache of ${operation} for an output ${formatShape(outShape)} ${dtype}`;
  }

  /** Returns what a cache holds, and undefined for a value that is no cache. */
  static savedOf(cache: unknown): Saved | undefined {
    return cache !== null && typeof cache === "object" && #saved in cache
      ? (cache as SavedState).#saved
      : undefined;
  }

  get operation(): string {
    return this.#saved.operation;
  }

  protected get saved(): S {
    return this.#saved;
  }

  /** False when one of the tensors that it shows was disposed. */
  holdsAll(): boolean {
    return !this.#held.some((handle) => handle.disposed);
  }

  override leaveScopes(): void {
    for (const handle of this.#held) handle.leaveScopes();
  }

  protected override release(): void {
    for (const handle of this.#held) handle.dispose();
  }
}
