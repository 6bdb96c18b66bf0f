// What all layers that train have in common: their tensors once the model has made them, and the
// addresses of their operands once there is a plan for a batch.

import type { Kernels } from "../../runtime/core.ts";
import { DisposedError } from "../../runtime/errors.ts";
import type { FloatDType } from "../../tensor/dtype.ts";
import type { LamellaRuntime } from "../../tensor/runtime.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import type { Blueprint, LayerRecord, Settings } from "../graph/record.ts";
import type { Initializer } from "../initializers.ts";

/** A tensor of a layer that a model's file holds: learned, or a constant or running value. */
export class Slot {
  /** It is undefined until Network.allocate has made it. */
  value!: TensorHandle<FloatDType>;
  /** The gradient, once there is one. */
  made: TensorHandle<FloatDType> | null = null;
  private shown: { readonly name: string; readonly gradient: unknown } | null = null;

  constructor(
    /** "0.weight": the layer's index, or its name, and the name that PyTorch gives it. */
    readonly name: string,
    readonly shape: readonly number[],
    readonly initial: Initializer,
    private readonly record: LayerRecord,
    private readonly key: string,
  ) {}

  /** True if its layer's record has it in this list. */
  is(list: "learned" | "decays" | "transposed"): boolean {
    // A stack of recurrent layers has "wx_1_reverse" beside "wx".
    const name = this.record.torchBlocks ? this.key.replace(/_.*/, "") : this.key;
    return Boolean(this.record[list]?.includes(name));
  }

  /**
   * The gradient: it is made, all 0, when it is first asked for, as a model that only predicts
   * needs none.
   */
  get gradient(): TensorHandle<FloatDType> {
    if (!this.made) {
      const { runtime, dtype, disposed } = this.value;
      if (disposed) throw new DisposedError("Parameter.gradient: the model has been disposed");
      this.made = runtime.lasting(dtype, this.shape);
      this.made.data.fill(0);
    }
    return this.made;
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
    this.made?.dispose();
  }
}

/**
 * Where the dropout layers of one model draw from: counters of the core's generator under one key.
 */
export class DropoutStream {
  counter = 0;

  constructor(public key: number) {}

  /** Takes this many blocks of the generator, and gives the first. */
  take(blocks: number): { low: number; high: number } {
    const { counter } = this;
    this.counter += blocks;
    return { low: counter >>> 0, high: Math.floor(counter / 2 ** 32) };
  }
}

/** What a layer computes with. */
export interface Setup {
  readonly runtime: LamellaRuntime;
  readonly dtype: FloatDType;
  readonly stream: DropoutStream;
  /** First values of the weights whose layer names none. */
  readonly initializer: Initializer;
}

export type EngineClass = new (blueprint: Blueprint<LayerRecord>, setup: Setup) => Engine;

/** A layer that computes forward and backward in planned memory. */
export abstract class Engine {
  /** Its tensors, in the order of PyTorch's state_dict; those of a layer that is applied twice. */
  slots: readonly Slot[];
  /**
   * What it adds to gradients that another application of the layer has begun, one for each slot;
   * null where it is the first to write them.
   */
  added: (TensorHandle<FloatDType> | undefined)[] | null = null;
  readonly record: LayerRecord;
  readonly settings: Settings;
  readonly kernels: Kernels;
  /** Elements of one example, before and after. */
  readonly inSize: number;
  readonly outSize: number;

  // Byte addresses, from the plan. Where that of an input's gradient is 0, it is not wanted.
  xs: readonly number[] = [];
  dxs: number[] = [];
  out = 0;
  dout = 0;
  work = 0;
  /** The Window of a kind that has one. */
  window = 0;
  /** The layer before it computes its output, or it computes that of the layer behind it. */
  isJoined = false;
  takesRelu = false;

  constructor(
    readonly blueprint: Blueprint<LayerRecord>,
    readonly setup: Setup,
  ) {
    const { record, saved, tensors, inShape, outShape } = blueprint;
    this.record = record;
    this.settings = saved;
    this.kernels = setup.runtime.kernels(setup.dtype);
    this.inSize = sizeOf(inShape);
    this.outSize = sizeOf(outShape);
    const first = this.first(blueprint.spec);
    this.slots = Object.entries(tensors).map(
      ([key, shape]) =>
        new Slot(`${blueprint.name}.${key}`, shape, first[key] as Initializer, record, key),
    );
  }

  /**
   * The first values of its tensors, by their names; refuses what the description has in their
   * place.
   */
  protected first(_spec: object): Record<string, Initializer> {
    return {};
  }

  /** The first input, which is the only one of most layers, and its gradient. */
  protected get x(): number {
    return this.xs[0] as number;
  }

  protected get dx(): number {
    return this.dxs[0] as number;
  }

  /** The address of the tensor number i. */
  protected at(i: number): number {
    return this.slots[i]?.value.address ?? 0;
  }

  protected gradientAt(i: number): number {
    return (this.added ? this.added[i] : this.slots[i]?.gradient)?.address ?? 0;
  }

  /** Bytes of workspace for a batch of N. */
  workBytes(_N: number): number {
    return 0;
  }

  /** Makes the buffers of its own for up to N examples. */
  makeBuffers(_N: number): TensorHandle[] {
    return [];
  }

  /** out from x. */
  abstract forward(N: number, train: boolean): void;

  /** dx and the gradients of what is learned, from dout. */
  abstract backward(N: number, train: boolean): void;
}
