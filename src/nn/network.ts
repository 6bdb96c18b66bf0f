// A model's engine: its layers, their tensors, and the plan of a batch, by which the passes call
// the kernels with addresses and nothing is checked or allocated on the way.

import type { Kernels } from "../runtime/core.ts";
import { DisposedError } from "../runtime/errors.ts";
import type { DType, FloatDType } from "../tensor/dtype.ts";
import type { Random } from "../tensor/random.ts";
import type { LamellaRuntime } from "../tensor/runtime.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { TensorHandle } from "../tensor/tensor.ts";
import { DropoutStream, type Engine, type Slot } from "./engine/engine.ts";
import type { Kind, Kinds } from "./engine/kinds.ts";
import { graphOf, type NetworkDescription, type NetworkGraph } from "./graph/blueprints.ts";
import { fuse, type Node } from "./graph/graph.ts";
import { trainingPlaces } from "./graph/plan.ts";
import type { Initializer } from "./initializers.ts";
import type { LossName } from "./names.ts";
import type { Port } from "./ports.ts";
import { checkSettings } from "./settings.ts";

/** The buffers for batches of up to `capacity` examples. */
export interface Plan {
  readonly capacity: number;
  /**
   * For each input (capacity, n) of its dtype, where n is at least the elements of one example: the
   * place may be wider.
   */
  readonly inputs: readonly TensorHandle[];
  /** For each output its values, likewise, and their gradient. */
  readonly outputs: readonly Output[];
  /** The only input, and the only output of a network that has a loss. */
  readonly input: TensorHandle;
  readonly scores: TensorHandle<FloatDType>;
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

/** An output in a plan. */
interface Output {
  readonly scores: TensorHandle<FloatDType>;
  readonly dscores: TensorHandle<FloatDType>;
}

/** One output of a network: what computes it, and its name. */
interface Given extends Port {
  readonly value: number;
  readonly size: number;
}

export class Network {
  /** For each node of the graph what computes it. */
  readonly layers: readonly Engine[];
  /** All tensors that a file holds, in the order of the layers. */
  readonly slots: readonly Slot[];
  readonly learned: readonly Slot[];
  readonly stream: DropoutStream;
  readonly graph: NetworkGraph<Kind>;
  readonly outputs: readonly Given[];
  /** The descriptions of the layers, each once. */
  readonly specs: readonly object[];
  /** It is made of layers in a row, and its file says so. */
  readonly isChain: boolean;
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

  /** For each layer its first application, whose tensors the others share. */
  private readonly own: readonly Engine[];

  /**
   * Checks everything, and allocates nothing.
   * @param title "Sequential" or "Model", with which its messages begin
   */
  constructor(
    readonly title: string,
    readonly runtime: LamellaRuntime,
    description: NetworkDescription,
    readonly dtype: FloatDType,
    dropoutKey: number,
    initializer: Initializer,
    kinds: Kinds,
  ) {
    this.stream = new DropoutStream(dropoutKey);
    const setup = { runtime, dtype, stream: this.stream, initializer };
    this.isChain = description.nodes === undefined;
    const graph = graphOf<Kind>(title, description, dtype, kinds, checkSettings);
    runtime.check(title); // to read them may have run code of the caller's
    this.graph = graph;
    const { inputs: K, nodes, outputs, names } = graph;
    const first = new Map<number, Engine>();
    this.layers = nodes.map(({ blueprint }) => {
      const engine = new blueprint.record.Engine(blueprint, setup);
      const { layer } = blueprint;
      engine.slots = first.get(layer)?.slots ?? engine.slots;
      if (!first.has(layer)) first.set(layer, engine);
      return engine;
    });
    const own = [...first.values()].sort((a, b) => a.blueprint.layer - b.blueprint.layer);
    this.own = own;
    this.specs = Object.freeze(own.map(({ blueprint }) => blueprint.spec));
    const isGone = fuse(this.graph, false);
    this.layers.forEach((engine, i) => {
      if (!isGone[i]) return;
      engine.isJoined = true;
      const [x] = (nodes[i] as Node).inputs as [number];
      (this.layers[x - K] as Engine).takesRelu = true;
    });
    this.slots = own.flatMap(({ slots }) => slots);
    this.learned = this.slots.filter((slot) => slot.is("learned"));
    const learns: boolean[] = new Array(K).fill(false);
    nodes.forEach(({ inputs }, i) => {
      const learned = (this.layers[i] as Engine).slots.some((slot) => slot.is("learned"));
      learns.push(learned || inputs.some((value) => learns[value]));
    });
    this.learns = learns;
    this.outputs = outputs.map((value, i) => {
      const { outShape: shape } = (this.layers[value - K] as Engine).blueprint;
      return { name: names[i] as string, value, shape, size: sizeOf(shape) };
    });
  }

  /** What it takes: the name, shape and dtype of each input. */
  get inputs(): NetworkGraph["given"] {
    return this.graph.given;
  }

  /** The shape of the first input, and of the first output. */
  get inShape(): readonly number[] {
    return (this.inputs[0] as Port).shape;
  }

  get inDType(): DType {
    return (this.inputs[0] as { dtype: DType }).dtype;
  }

  get outShape(): readonly number[] {
    return (this.outputs[0] as Given).shape;
  }

  /** The layer that gives the first output. */
  get top(): Engine {
    return this.layers[(this.outputs[0] as Given).value - this.graph.inputs] as Engine;
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
    const { inShape, dtype, layers, graph, isChain, outputs } = this;
    const described = (engine: Engine) => engine.blueprint.saved;
    if (isChain) return { input: inShape, dtype, layers: layers.map(described) };
    return {
      inputs: this.inputs,
      dtype,
      layers: this.own.map(described),
      nodes: graph.nodes.map(({ blueprint: { layer }, inputs }) => ({ layer, inputs })),
      outputs: outputs.map(({ name, value }) => ({ name, value })),
    };
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
    const K = graph.inputs;
    const { values, gradients, scratch, sizes } = trainingPlaces(
      graph,
      this.inputs.map(({ shape }) => sizeOf(shape)),
    );
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
      const given = this.inputs.map(({ shape, dtype: own }, i): TensorHandle => {
        if (own === dtype) return at(values[i]);
        const input = runtime.lasting(own, [N, sizeOf(shape)]);
        buffers.push(input);
        return input;
      });
      const begun = new Set<readonly Slot[]>();
      for (const layer of layers.toReversed()) {
        const { slots } = layer;
        // A backward pass goes from the last node to the first.
        const isShared = begun.has(slots);
        begun.add(slots);
        layer.added = isShared
          ? slots.map((slot) => (slot.is("learned") ? make(...slot.shape) : undefined))
          : null;
      }
      for (const [i, layer] of layers.entries()) {
        const { inputs } = graph.nodes[i] as Node;
        layer.xs = inputs.map((value) => (given[value] ?? at(values[value])).address);
        layer.dxs = inputs.map(() => 0);
        layer.out = at(values[K + i]).address;
        layer.dout = at(gradients[K + i]).address;
        buffers.push(...layer.makeBuffers(N));
        const { record, inShape, inShapes, saved } = layer.blueprint;
        const words = record.window?.(inShape, saved, inShapes);
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
      const outputs = graph.outputs.map((value) => ({
        scores: at(values[value]),
        dscores: at(gradients[value]),
      }));
      const [first] = outputs as [Output];
      this.plan = {
        capacity: N,
        ...{ inputs: given, input: given[0] as TensorHandle, outputs, ...first },
        ...{ labels, targets, answers },
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
   * The gradients of all that is learned, from those of the outputs in the plan.
   * @param dxs the addresses for the gradients of the inputs; none where they are not wanted
   */
  backward(dxs: readonly number[] = []): void {
    const { layers, learns, kernels, graph } = this;
    const { gradients, scratch } = this.plan as Plan;
    const { N, train } = this.passed as { N: number; train: boolean };
    const K = graph.inputs;
    const isAll = dxs.length > 0;
    const targetOf = (value: number) => (value < K ? dxs[value] : gradients[value]) as number;
    for (let i = layers.length - 1; i >= 0; i--) {
      if (!learns[K + i] && !isAll) continue;
      const layer = layers[i] as Engine;
      const { inputs } = graph.nodes[i] as Node;
      for (let k = 0; k < inputs.length; k++) {
        const value = inputs[k] as number;
        const own = (scratch[i] as number[])[k] as number;
        layer.dxs[k] = learns[value] || isAll ? own || targetOf(value) : 0;
      }
      layer.backward(N, train);
      // Where another layer has begun the gradient of a value, this one's is added to it, and
      // likewise where the layer has been applied before.
      for (let k = 0; k < inputs.length; k++) {
        const own = (scratch[i] as number[])[k] as number;
        if (own === 0 || layer.dxs[k] === 0) continue;
        const value = inputs[k] as number;
        const size = sizeOf(layer.blueprint.inShapes[k] as number[]);
        kernels.axpy(N * size, 1, own, targetOf(value));
      }
      for (const [k, extra] of (layer.added ?? []).entries()) {
        const { gradient } = layer.slots[k] as Slot;
        if (extra) kernels.axpy(extra.size, 1, extra.address, gradient.address);
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
