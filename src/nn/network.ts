// A model's engine: its layers, their tensors, and the plan of a batch, by which the passes call
// the kernels with addresses and nothing is checked or allocated on the way.

import type { Kernels } from "../runtime/core.ts";
import { DisposedError, DTypeError } from "../runtime/errors.ts";
import type { DType, FloatDType } from "../tensor/dtype.ts";
import type { Random } from "../tensor/random.ts";
import type { LamellaRuntime } from "../tensor/runtime.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { TensorHandle } from "../tensor/tensor.ts";
import { DropoutStream, type Engine, type Slot } from "./engine/engine.ts";
import type { Kinds } from "./engine/kinds.ts";
import { blueprintsOf } from "./graph/blueprints.ts";
import { chain, fuse, type Graph, type Node } from "./graph/graph.ts";
import { trainingPlaces } from "./graph/plan.ts";
import type { Blueprint, LayerRecord } from "./graph/record.ts";
import type { Initializer } from "./initializers.ts";
import type { LossName } from "./names.ts";
import { checkSettings } from "./settings.ts";

/** The buffers for batches of up to `capacity` examples. */
export interface Plan {
  readonly capacity: number;
  /**
   * (capacity, n) of the input's dtype, where n is at least the elements of one example: the place
   * may be wider.
   */
  readonly input: TensorHandle;
  /** (capacity, n) likewise, for the scores of one example. */
  readonly scores: TensorHandle<FloatDType>;
  /** As the scores: their gradient. */
  readonly dscores: TensorHandle<FloatDType>;
  /** (capacity,) labels, or with the scores' shape what they should be. */
  readonly labels: TensorHandle<"int32">;
  readonly targets: TensorHandle<FloatDType>;
  /** (capacity,) what each example counts in the loss. */
  readonly rowWeights: TensorHandle<"float64">;
  /**
   * The address of the batch's row weights, or 0 if it has none; W is their sum, or the batch's N.
   */
  weights: number;
  W: number;
  /** (capacity,) the classes with the highest scores. */
  readonly answers: TensorHandle<"int32">;
  /** TrainingPlaces by their addresses, which are 0 where there is no place. */
  readonly gradients: readonly number[];
  readonly scratch: readonly (readonly number[])[];
  readonly buffers: TensorHandle[];
}

export class Network {
  readonly layers: readonly Engine[];
  /** All tensors that a file holds, in the order of the layers. */
  readonly slots: readonly Slot[];
  readonly learned: readonly Slot[];
  readonly stream: DropoutStream;
  readonly outShape: readonly number[];
  readonly graph: Graph<LayerRecord>;
  /** What the layers take that take the input: the model's dtype, or int32. */
  readonly inDType: DType;
  disposed = false;
  /**
   * What the scores mean: the loss that the model is trained with, and the names of its classes.
   */
  loss: LossName | undefined = undefined;
  classes: readonly string[] | undefined = undefined;
  private plan: Plan | null = null;
  /** For each value whether anything that learns computes it, so that its gradient is wanted. */
  private readonly learns: readonly boolean[];
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
    kinds: Kinds,
    arrange: (layers: readonly Blueprint<LayerRecord>[]) => Graph<LayerRecord> = chain,
  ) {
    this.stream = new DropoutStream(dropoutKey);
    const setup = { runtime, dtype, stream: this.stream, initializer };
    const blueprints = blueprintsOf(operation, specs, inShape, kinds, checkSettings);
    runtime.check(operation); // to read them may have run code of the caller's
    this.layers = blueprints.map(
      (blueprint, i) => new blueprint.record.Engine(blueprint, i, setup),
    );
    this.graph = arrange(blueprints);
    const dues = this.graph.nodes.flatMap(({ blueprint: { record, place }, inputs }) =>
      inputs.map((value) => ({ place, isInput: value === 0, due: record.takes ?? dtype })),
    );
    this.inDType = dues.find(({ isInput }) => isInput)?.due ?? dtype;
    for (const { place, isInput, due } of dues) {
      const given = isInput ? this.inDType : dtype;
      if (due !== given) throw new DTypeError(`${place}: takes ${due}, got ${given}`);
    }
    const isGone = fuse(this.graph, false);
    this.layers.forEach((engine, i) => {
      if (!isGone[i]) return;
      engine.isJoined = true;
      const [x] = (this.graph.nodes[i] as Node).inputs as [number];
      (this.layers[x - 1] as Engine).takesRelu = true;
    });
    this.slots = this.layers.flatMap(({ slots }) => slots);
    this.learned = this.slots.filter((slot) => slot.is("learned"));
    const learns = [false];
    this.graph.nodes.forEach(({ inputs }, i) => {
      const own = (this.layers[i] as Engine).slots.some((slot) => slot.is("learned"));
      learns.push(own || inputs.some((value) => learns[value]));
    });
    this.learns = learns;
    this.outShape = this.top.blueprint.outShape;
  }

  /** The last layer. */
  get top(): Engine {
    return this.layers[this.layers.length - 1] as Engine;
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
    const missing = this.learned.filter(({ made }) => !made);
    try {
      for (const slot of missing) slot.gradient;
    } catch (error) {
      for (const slot of missing) {
        slot.made?.dispose();
        slot.made = null;
      }
      throw error;
    }
  }

  /** Gives them their first values. */
  initialize(operation: string, random: Random): void {
    this.whole(() => {
      for (const { value, shape, initial, name } of this.slots) {
        this.runtime.scope(() => {
          const given = initial(shape, random);
          // A copy, as to read them may run code that grows the memory beneath a view of it.
          const values = given?.length === value.size ? Float64Array.from(given) : given;
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
    return { input: inShape, dtype, layers: layers.map(({ blueprint }) => blueprint.saved) };
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
    const { runtime, dtype, layers, graph } = this;
    const { values, gradients, scratch, sizes } = trainingPlaces(graph, sizeOf(this.inShape));
    const buffers: TensorHandle[] = [];
    const make = (...shape: number[]) => {
      const tensor = runtime.lasting(dtype, shape);
      buffers.push(tensor);
      return tensor;
    };
    const whole = (n: number) => {
      const tensor = runtime.lasting("int32", [n]);
      buffers.push(tensor);
      return tensor;
    };
    try {
      const places = sizes.map((size) => make(N, size));
      const at = (place: number | undefined) => places[place ?? -1] as TensorHandle<FloatDType>;
      let input: TensorHandle = at(values[0]);
      if (this.inDType !== dtype) {
        input = runtime.lasting(this.inDType, [N, sizeOf(this.inShape)]);
        buffers.push(input);
      }
      for (const [i, layer] of layers.entries()) {
        const { inputs } = graph.nodes[i] as Node;
        layer.xs = inputs.map((value) => (value === 0 ? input : at(values[value])).address);
        layer.dxs = inputs.map(() => 0);
        layer.out = at(values[i + 1]).address;
        layer.dout = at(gradients[i + 1]).address;
        buffers.push(...layer.makeBuffers(N));
        const { record, inShape, saved } = layer.blueprint;
        const words = record.window?.(inShape, saved);
        if (!words) continue;
        const window = whole(words.length);
        window.data.set(words);
        layer.window = window.address;
      }
      const rowWeights = runtime.lasting("float64", [N]);
      buffers.push(rowWeights);
      const [labels, answers] = [whole(N), whole(N)];
      const targets = make(N, this.outSize);
      // No spread of a list: a call takes so many arguments alone, and a file may have any number
      // of layers.
      let bytes = 0;
      for (const layer of layers) bytes = Math.max(bytes, layer.workBytes(N));
      const work = whole(Math.ceil(bytes / 4));
      for (const layer of layers) layer.work = work.address;
      this.plan = {
        capacity: N,
        ...{ input, scores: at(values[graph.output]) },
        ...{ dscores: at(gradients[graph.output]), labels, targets, answers },
        ...{ rowWeights, weights: 0, W: N },
        gradients: gradients.map((place) => places[place]?.address ?? 0),
        scratch: scratch.map((own) => own.map((place) => places[place]?.address ?? 0)),
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
    for (const layer of this.layers) if (!layer.isJoined) layer.forward(N, train);
    this.passed = { N, train };
  }

  /**
   * The gradients of all that is learned, from those of the scores in the plan's dscores.
   * @param dx the address for the gradient of the input; 0 where it is not wanted
   */
  backward(dx = 0): void {
    const { layers, learns, kernels, graph } = this;
    const { gradients, scratch } = this.plan as Plan;
    const { N, train } = this.passed as { N: number; train: boolean };
    const targetOf = (value: number) => (value === 0 ? dx : (gradients[value] as number));
    for (let i = layers.length - 1; i >= 0; i--) {
      if (!learns[i + 1] && dx === 0) continue;
      const layer = layers[i] as Engine;
      const { inputs } = graph.nodes[i] as Node;
      for (let k = 0; k < inputs.length; k++) {
        const value = inputs[k] as number;
        const isWanted = learns[value] || dx !== 0;
        const own = (scratch[i] as number[])[k] as number;
        layer.dxs[k] = isWanted ? own || targetOf(value) : 0;
      }
      layer.backward(N, train);
      // Where another layer has begun the gradient of a value, this one's is added to it.
      for (let k = 0; k < inputs.length; k++) {
        const own = (scratch[i] as number[])[k] as number;
        if (own === 0 || layer.dxs[k] === 0) continue;
        const value = inputs[k] as number;
        const size = value === 0 ? sizeOf(this.inShape) : (layers[value - 1] as Engine).outSize;
        kernels.axpy(N * size, 1, own, targetOf(value));
      }
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
