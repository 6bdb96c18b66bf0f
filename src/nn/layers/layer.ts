// What all layers of a model have in common. A layer knows its shapes from the start, its tensors
// once the model has made them, and the addresses of its operands once there is a plan for a batch.

import type { Kernels } from "../../runtime/core.ts";
import { type FloatDType, itemSize } from "../../tensor/dtype.ts";
import type { LamellaRuntime } from "../../tensor/runtime.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import type { Initializer } from "../initializers.ts";
import type { Blueprint } from "./blueprint.ts";

/** A tensor of a layer that a model's file holds: learned, or a constant or running value. */
export class Slot {
  /** "0.weight": the layer's index and the name that PyTorch gives it. */
  name = "";
  /** From Network.allocate on. */
  value!: TensorHandle<FloatDType>;
  /** The gradient, where there is one. */
  slope: TensorHandle<FloatDType> | null = null;
  private shown: { readonly name: string; readonly gradient: unknown } | null = null;

  constructor(
    readonly key: string,
    readonly shape: readonly number[],
    readonly learned: boolean,
    readonly initial: Initializer,
  ) {}

  /** Made, all 0, when it is first asked for: a model that only predicts needs none. */
  get gradient(): TensorHandle<FloatDType> {
    if (!this.slope) {
      const { runtime, dtype } = this.value;
      this.slope = runtime.lasting(dtype, this.shape);
      this.slope.data.fill(0);
    }
    return this.slope;
  }

  /** What callers see of it, and cannot change. */
  get parameter() {
    const slot = this;
    this.shown ??= Object.freeze({
      name: this.name,
      value: this.value,
      get gradient() {
        return slot.gradient;
      },
    });
    return this.shown;
  }

  dispose(): void {
    this.value?.dispose();
    this.slope?.dispose();
  }
}

/** Where the dropout layers of one model draw from: counters of the core's generator under one key. */
export class DropoutStream {
  counter = 0;

  constructor(public key: number) {}

  /** The first of so many blocks that are the caller's. */
  take(blocks: number): { low: number; high: number } {
    const { counter } = this;
    this.counter += blocks;
    return { low: counter >>> 0, high: Math.floor(counter / 2 ** 32) };
  }
}

/** What a layer computes with. */
export interface Setting {
  readonly runtime: LamellaRuntime;
  readonly dtype: FloatDType;
  readonly stream: DropoutStream;
  /** Of the weights of layers that name none. */
  readonly initializer: Initializer;
}

export abstract class Layer<B extends Blueprint = Blueprint> {
  /** Its tensors, in the order of PyTorch's state_dict. */
  readonly slots: Slot[] = [];
  /** May write its output onto its input. */
  readonly overwrites: boolean = false;
  /** Its backward reads its output, so that nothing may overwrite it. ReLU's sees only what is above 0. */
  readonly readsOut: boolean = false;
  /** Its backward may write dx onto dout. */
  readonly overwritesGradient: boolean = false;

  // Byte addresses, from the plan.
  x = 0;
  out = 0;
  dout = 0;
  dx = 0;
  work = 0;

  constructor(
    readonly blueprint: B,
    readonly setting: Setting,
  ) {
    Object.freeze(blueprint.outShape);
  }

  /** For a line of the summary: "affine(256)". */
  abstract readonly label: string;

  get inShape(): readonly number[] {
    return this.blueprint.inShape;
  }

  get outShape(): readonly number[] {
    return this.blueprint.outShape;
  }

  get saved(): B["saved"] {
    return this.blueprint.saved;
  }

  /** A tensor of the blueprint, as the next of the slots. */
  protected slot(key: string, learned: boolean, initial: Initializer): Slot {
    const slot = new Slot(key, this.blueprint.tensors[key] as number[], learned, initial);
    this.slots.push(slot);
    return slot;
  }

  get kernels(): Kernels {
    return this.setting.runtime.kernels(this.setting.dtype);
  }

  /** Elements of one example, before and after. */
  get inSize(): number {
    return sizeOf(this.inShape);
  }

  get outSize(): number {
    return sizeOf(this.outShape);
  }

  /** Bytes of workspace for a batch of N. */
  workBytes(_N: number): number {
    return 0;
  }

  /** Buffers of its own for up to N examples. */
  reserve(_N: number): TensorHandle[] {
    return [];
  }

  /** out from x. */
  abstract forward(N: number, train: boolean): void;

  /** dx (not where its address is 0) and the gradients of what is learned, from dout. */
  abstract backward(N: number, dx: number, train: boolean): void;
}

/** Copies n elements from one address to another. */
export function copyElements(
  { runtime, dtype }: Setting,
  to: number,
  from: number,
  n: number,
): void {
  if (to === from) return;
  const bytes = itemSize[dtype];
  new Uint8Array(runtime.linear.wasm.buffer).copyWithin(to, from, from + n * bytes);
}
