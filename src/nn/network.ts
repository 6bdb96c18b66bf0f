// A model's engine: its layers, their tensors, and the plan of a batch, by which the passes call the
// kernels with addresses and nothing is checked or allocated on the way.

import type { Kernels } from "../runtime/core.ts";
import { DisposedError } from "../runtime/errors.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import type { Random } from "../tensor/random.ts";
import type { LamellaRuntime } from "../tensor/runtime.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { TensorHandle } from "../tensor/tensor.ts";
import type { Initializer } from "./initializers.ts";
import { DropoutStream, type Layer, type Slot } from "./layers/layer.ts";
import { buildLayers } from "./layers/layers.ts";
import type { LossName } from "./names.ts";

/** The buffers for batches of up to `capacity` examples. */
export interface Plan {
  readonly capacity: number;
  /** (capacity, …input) */
  readonly input: TensorHandle<FloatDType>;
  /** (capacity, …output) */
  readonly scores: TensorHandle<FloatDType>;
  /** As the scores: their gradient. */
  readonly dscores: TensorHandle<FloatDType>;
  /** (capacity,) labels, or with the scores' shape what they should be. */
  readonly labels: TensorHandle<"int32">;
  readonly targets: TensorHandle<FloatDType>;
  /** (capacity,) what each example counts in the loss. */
  readonly rowWeights: TensorHandle<"float64">;
  /** Where those of the batch in the plan are, 0 where all count alike; and their sum, else the batch's examples. */
  weights: number;
  W: number;
  /** (capacity,) the classes with the highest scores. */
  readonly answers: TensorHandle<"int32">;
  readonly buffers: TensorHandle[];
}

export class Network {
  readonly layers: readonly Layer[];
  /** All tensors that a file holds, in the order of the layers. */
  readonly slots: readonly Slot[];
  readonly learned: readonly Slot[];
  readonly stream: DropoutStream;
  readonly outShape: readonly number[];
  disposed = false;
  /** What the scores mean: the loss that the model is trained with, and the names of its classes. */
  loss: LossName | undefined = undefined;
  classes: readonly string[] | undefined = undefined;
  private plan: Plan | null = null;
  /** The lowest layer that learns: none below it needs a backward pass. */
  private readonly bottom: number;
  /** What went forward last, for backward; null where something else has been through since. */
  passed: { N: number; train: boolean } | null = null;

  /** Checks everything, and allocates nothing. */
  constructor(
    operation: string,
    readonly runtime: LamellaRuntime,
    specs: unknown,
    readonly inShape: readonly number[],
    readonly dtype: FloatDType,
    dropoutKey: number,
    initializer: Initializer,
  ) {
    this.stream = new DropoutStream(dropoutKey);
    this.layers = buildLayers(operation, specs, inShape, {
      runtime,
      dtype,
      stream: this.stream,
      initializer,
    });
    this.slots = this.layers.flatMap(({ slots }) => slots);
    this.learned = this.slots.filter(({ learned }) => learned);
    const bottom = this.layers.findIndex(({ slots }) => slots.some(({ learned }) => learned));
    this.bottom = bottom < 0 ? this.layers.length : bottom;
    this.outShape = (this.layers[this.layers.length - 1] as Layer).outShape;
  }

  get kernels(): Kernels {
    return this.runtime.kernels(this.dtype);
  }

  get outSize(): number {
    return sizeOf(this.outShape);
  }

  /** Makes the tensors. */
  allocate(): void {
    this.whole(() => {
      for (const slot of this.slots) slot.value = this.runtime.lasting(this.dtype, slot.shape);
    });
  }

  /** Makes the gradients that are not there yet: all of them, or none. */
  makeGradients(): void {
    const missing = this.learned.filter((slot) => !slot.slope);
    try {
      for (const slot of missing) slot.gradient;
    } catch (error) {
      for (const slot of missing) {
        slot.slope?.dispose();
        slot.slope = null;
      }
      throw error;
    }
  }

  /** Gives them their first values. */
  initialize(operation: string, random: Random): void {
    this.whole(() => {
      for (const { value, shape, initial, name } of this.slots) {
        this.runtime.scope(() => {
          const values = initial(shape, random);
          if (values?.length !== value.size) {
            throw new RangeError(
              `${operation}: the initializer of ${name} must give ${value.size} numbers, got ${values?.length}`,
            );
          }
          value.data.set(values);
        });
      }
    });
  }

  check(operation: string): void {
    this.runtime.check(operation);
    if (this.disposed) throw new DisposedError(`${operation}: the model has been disposed`);
  }

  /** What a file needs to make the layers anew, beside the tensors. */
  get architecture(): object {
    const { inShape, dtype, layers } = this;
    return { input: inShape, dtype, layers: layers.map(({ saved }) => saved) };
  }

  dispose(): void {
    this.disposed = true;
    this.unplan();
    for (const slot of this.slots) slot.dispose();
  }

  /** The plan for batches of N: the one there is where it is large enough. */
  reserve(N: number): Plan {
    if (this.plan && this.plan.capacity >= N) return this.plan;
    this.unplan();
    const { runtime, dtype, layers } = this;
    const buffers: TensorHandle[] = [];
    const make = (...shape: number[]) => {
      const tensor = runtime.lasting(dtype, shape);
      buffers.push(tensor);
      return tensor;
    };
    try {
      const input = make(N, ...this.inShape);
      let at = input;
      let before: Layer | undefined;
      for (const layer of layers) {
        layer.x = at.address;
        if (!layer.overwrites || before?.readsOut) at = make(N, layer.outSize);
        layer.out = at.address;
        buffers.push(...layer.reserve(N));
        before = layer;
      }
      // Two buffers take turns: a layer reads its dout from one and writes dx into the other.
      let widest = this.outSize;
      for (let i = 1; i < layers.length; i++)
        widest = Math.max(widest, (layers[i] as Layer).inSize);
      const turns = [make(N, widest), make(N, widest)] as const;
      let turn: 0 | 1 = 0;
      for (let i = layers.length - 1; i >= 0; i--) {
        const layer = layers[i] as Layer;
        layer.dout = turns[turn].address;
        if (!layer.overwritesGradient) turn = turn === 0 ? 1 : 0;
        layer.dx = turns[turn].address;
      }
      const whole = (n: number) => {
        const tensor = runtime.lasting("int32", [n]);
        buffers.push(tensor);
        return tensor;
      };
      const rowWeights = runtime.lasting("float64", [N]);
      buffers.push(rowWeights);
      const [labels, answers] = [whole(N), whole(N)];
      const targets = make(N, this.outSize);
      // No spread of a list: a call takes so many arguments alone, and a file may have any number of layers.
      let bytes = 0;
      for (const layer of layers) bytes = Math.max(bytes, layer.workBytes(N));
      const work = whole(Math.ceil(bytes / 4));
      for (const layer of layers) layer.work = work.address;
      this.plan = {
        capacity: N,
        ...{ input, scores: at, dscores: turns[0], labels, targets, answers },
        ...{ rowWeights, weights: 0, W: N },
        buffers,
      };
      return this.plan;
    } catch (error) {
      for (const tensor of buffers) tensor.dispose();
      throw error;
    }
  }

  /** The scores of the first N examples in the plan's input. */
  forward(N: number, train: boolean): void {
    this.passed = null;
    for (const layer of this.layers) layer.forward(N, train);
    this.passed = { N, train };
  }

  /** The gradients of all that is learned, from those of the scores in the plan's dscores; dx, of the input, where it is no 0. */
  backward(dx = 0): void {
    const { layers, bottom } = this;
    const { N, train } = this.passed as { N: number; train: boolean };
    for (let i = layers.length - 1; i >= 0; i--) {
      if (i < bottom && dx === 0) return;
      const layer = layers[i] as Layer;
      const wanted = i === 0 ? dx : i === bottom && dx === 0 ? 0 : layer.dx;
      layer.backward(N, wanted, train);
    }
  }

  private unplan(): void {
    for (const tensor of this.plan?.buffers ?? []) tensor.dispose();
    this.plan = null;
    this.passed = null;
  }

  /** Runs fn; where it throws, nothing of this network stays allocated. */
  private whole(fn: () => void): void {
    let done = false;
    try {
      fn();
      done = true;
    } finally {
      if (!done) this.dispose();
    }
  }
}
