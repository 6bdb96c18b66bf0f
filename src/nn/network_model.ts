import { DTypeError, ShapeError, show } from "../runtime/errors.ts";
import { type FloatDType, itemSize, type TypedArrayOf } from "../tensor/dtype.ts";
import { checkCount, checkSeed, grouped } from "../tensor/numbers.ts";
import { checkObject, describe, liveTensor, operandLike } from "../tensor/operands.ts";
import { LegacyRandom, type Random } from "../tensor/random.ts";
import type { Inputs } from "../tensor/rows.ts";
import { LamellaRuntime, type Runtime } from "../tensor/runtime.ts";
import { Owner } from "../tensor/scope.ts";
import { formatShape, sameShape, sizeOf } from "../tensor/shape.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";
import { checkFloatDType } from "./architecture.ts";
import type { Engine } from "./engine/engine.ts";
import type { Kinds } from "./engine/kinds.ts";
import type { NetworkDescription } from "./graph/blueprints.ts";
import type { Node } from "./graph/graph.ts";
import { programOf } from "./graph/program.ts";
import { labelOf } from "./graph/record.ts";
import { checkStateful, streamed, withStates } from "./graph/streaming.ts";
import { heNormal, type Initializer } from "./initializers.ts";
import { inputRowsOf } from "./input_rows.ts";
import type { LayerSpec } from "./layers/all.ts";
import type { LossName } from "./names.ts";
import { Network, type Plan } from "./network.ts";
import { type Port, valuesByName } from "./ports.ts";
import { CompiledPredictor, type Predictor, type PredictorHost } from "./predictor.ts";
import { checkSettings } from "./settings.ts";
import { matchState, nameOf, type StateEntry, type StateSource, targetsOf } from "./state.ts";
import { type EvaluateOptions, type Evaluation, evaluating, passes } from "./training/evaluate.ts";
import { classesOf, toProbabilities } from "./training/losses.ts";

/** What the models of a program have in common beside their layers. */
export interface NetworkOptions<D extends FloatDType = FloatDType> {
  /** Default "float32". */
  dtype?: D | undefined;
  /**
   * Of the first weights, and of dropout: a whole number in [0, 2³²), or for the weights a
   * generator, whose draws go on (dropout has 0 then). Default 0.
   */
  seed?: number | Random | undefined;
  /** Of the weights whose layer names none; default heNormal(). */
  initializer?: Initializer | undefined;
}

/** Something that a model learns. Both tensors are the model's own, live and not copies. */
export interface Parameter<D extends FloatDType = FloatDType> {
  /** "0.weight": the layer's index and PyTorch's name. */
  readonly name: string;
  readonly value: Tensor<D>;
  /** Of the last backward; all 0 before the first. */
  readonly gradient: Tensor<D>;
}

const EVALUATE = ["x", "y", "loss", "batchSize", "classWeights"];

/** Examples that go through at once where nobody says how many. */
const BATCH = 256;

/** A model of any kind, whose classes may have names or not. */
export type AnyModel<D extends FloatDType = FloatDType> = NetworkModel<D, number | string>;

/** A model of any kind, as a call takes it that trains or saves it. */
// biome-ignore lint/suspicious/noExplicitAny: its inputs and outputs are its own
export type GivenModel = NetworkModel<any, any, any, any, any>;

/** What a predictor gives where the model gives S. */
export type Served<D extends FloatDType, S> =
  S extends Tensor<D> ? TypedArrayOf<D> : { [K in keyof S]: TypedArrayOf<D> };

/** What classify gives: numbers of classes, or their names. */
export type Classes<C extends number | string> = C extends string
  ? string[]
  : Int32Array<ArrayBuffer>;

/**
 * The engines of models: a map rather than a private field, so that a bundle without models goes
 * without them.
 */
const networks = new WeakMap<object, Network>();

/** "Sequential.forward", or "Model.forward". */
const called = (model: object, method: string) =>
  `${networks.get(model)?.title ?? "Model"}.${method}`;

/**
 * Gives a model its network, with its tensors: from its initializers, or from somewhere else.
 * @param seed of the first weights and of dropout
 */
export function construct(
  model: object,
  title: string,
  runtime: Runtime,
  options: NetworkOptions,
  describeIn: () => NetworkDescription,
  state: StateSource | undefined,
  kinds: Kinds,
): Network {
  if (!(runtime instanceof LamellaRuntime)) {
    throw new TypeError(
      `${title}: runtime must be a runtime of this package, got ${describe(runtime)}`,
    );
  }
  runtime.check(title);
  const description = describeIn();
  const { dtype = "float32", seed = 0, initializer = heNormal() } = options;
  checkFloatDType(title, dtype);
  const key = seed instanceof LegacyRandom ? 0 : checkSeed(title, seed);
  const network = new Network(title, runtime, description, dtype, key, initializer, kinds);
  networks.set(model, network);
  runtime.check(title); // to read all this may have run code of the caller's
  if (state) {
    const assign = state(network);
    network.allocate();
    assign();
  } else {
    const random = seed instanceof LegacyRandom ? seed : runtime.random(key);
    network.allocate();
    network.initialize(title, random);
  }
  return network;
}

/** The engine of a model; refuses what is none, and one that has been disposed. */
export function networkOf(operation: string, model: unknown): Network {
  const network = networks.get(model as object);
  if (!network)
    throw new TypeError(
      `${operation}: model must be a Sequential or a Model, got ${describe(model)}`,
    );
  network.check(operation);
  return network;
}

/**
 * What all models do, whether their layers stand in a row (Sequential) or make a graph (Model). A
 * model owns its tensors: they belong to no scope, and are freed by dispose(), or by the garbage
 * collector some time after the model is forgotten.
 *
 * The buffers of a batch are planned with the first batch, and again only for a larger one, so that
 * steps allocate nothing. A ReLU after an affine layer is computed with it.
 */
export abstract class NetworkModel<
  D extends FloatDType,
  C extends number | string,
  X = Inputs,
  S = Tensor<D>,
  G = Tensor<D>,
> extends Owner {
  /** The descriptions it was made from. */
  abstract readonly layers: readonly LayerSpec[];

  get runtime(): Runtime {
    return engineOf(this).runtime;
  }

  get dtype(): D {
    return engineOf(this).dtype as D;
  }

  /** The shape of one example. */
  get input(): readonly number[] {
    return engineOf(this).inShape;
  }

  /** The shape of one example's scores; of several outputs that of the first. */
  get output(): readonly number[] {
    return engineOf(this).outShape;
  }

  /**
   * The scores of a batch: x (N, …input) → (N, …output), a new tensor.
   *
   * @param x a tensor, nested arrays, or numbers in a row
   * @param options.mode "train" normalises by the batch, moves running values and drops; "test",
   *   the default, does not
   * @throws RangeError for another mode, and for an empty batch in training; ShapeError,
   *   DTypeError, DisposedError, RuntimeMismatchError, MemoryError
   */
  forward(x: X, options: { mode?: "train" | "test" | undefined } = {}): S {
    const operation = called(this, "forward");
    const network = networkOf(operation, this);
    checkSettings(operation, "options", options, ["mode"]);
    const { mode = "test" } = options;
    if (mode !== "train" && mode !== "test") {
      throw new RangeError(`${operation}: mode must be "train" or "test", got ${show(mode)}`);
    }
    const rows = inputRowsOf(operation, x, network);
    if (mode === "train" && rows.count === 0) {
      throw new RangeError(`${operation}: x has no examples (N = 0), and training needs one`);
    }
    const N = rows.count;
    // The scores are allocated before the plan, which stays, so that a refusal leaves nothing.
    return network.runtime.atomically(() => {
      const scores = scoresFor(network, N);
      const plan = network.reserve(Math.max(N, 1));
      rows.copyTo(plan, 0, N);
      network.forward(N, mode === "train");
      takeScores(scores, network, plan, 0, N);
      return byName(network.outputs, scores) as S;
    });
  }

  /**
   * The gradients of all parameters, from that of the last forward's scores: they are in
   * `parameters()` then. May be called any number of times; after a forward in test mode, with the
   * statistics as constants.
   *
   * @param dout (N, …output)
   * @param options.dx true computes the gradient of the input as well
   * @returns dx (N, …input), a new tensor, where it was asked for
   * @throws TypeError where no forward came before, or something else went through the model since;
   *   ShapeError, DTypeError, DisposedError, RuntimeMismatchError, MemoryError
   */
  backward(dout: S, options: { dx?: false | undefined }): { dx: undefined };
  backward(dout: S, options: { dx: true }): { dx: G };
  backward(dout: S, options?: { dx?: boolean | undefined }): { dx: G | undefined };
  backward(dout: S, options: { dx?: boolean | undefined } = {}): { dx: G | undefined } {
    const operation = called(this, "backward");
    const network = networkOf(operation, this);
    checkSettings(operation, "options", options, ["dx"]);
    const { dx: isWanted } = options;
    network.check(operation); // to read them may have run code of the caller's
    const { passed, runtime, dtype, inputs, outputs } = network;
    if (!passed) {
      throw new TypeError(
        `${operation}: no forward to go back through: call forward, and nothing else of the model before backward`,
      );
    }
    if (isWanted && inputs.some((input) => input.dtype !== dtype)) {
      throw new DTypeError(`${operation}: dx: an input of whole numbers has no gradient`);
    }
    const given = outputs.length > 1 ? valuesByName(operation, "dout", outputs, dout) : [dout];
    const ups = outputs.map(({ name, shape }, i) => {
      const label = outputs.length > 1 ? `dout.${name}` : "dout";
      const tensor = given[i] as Tensor<FloatDType>;
      const up = operandLike(operation, label, tensor, "the model", network);
      const due = [passed.N, ...shape];
      if (sameShape(up.shape, due)) return up;
      throw new ShapeError(
        `${operation}: ${label} must have shape ${formatShape(due)}, got ${formatShape(up.shape)}`,
      );
    });
    const plan = network.reserve(passed.N);
    return runtime.atomically(() => {
      const dxs = isWanted
        ? inputs.map(({ shape }) => runtime.create(dtype, [passed.N, ...shape]))
        : [];
      network.makeGradients(); // before a view is taken
      for (const [i, up] of ups.entries()) {
        (plan.outputs[i] as { dscores: TensorHandle<FloatDType> }).dscores.data.set(up.data);
      }
      network.backward(dxs.map(({ address }) => address));
      return { dx: isWanted ? (byName(inputs, dxs) as G) : undefined };
    });
  }

  /**
   * What is learned, in the order of the layers: `weight` and `bias` of affine and batchnorm
   * layers.
   */
  parameters(): Parameter<D>[] {
    const { learned } = networkOf(called(this, "parameters"), this);
    return learned.map((slot) => slot.parameter) as unknown as Parameter<D>[];
  }

  /**
   * Every tensor that makes the model what it is, running values included, by PyTorch's names. They
   * are the model's own, live; `toTypedArray()` of one is a copy. Affine weights are (D, M).
   */
  stateDict(): Record<string, Tensor<D>> {
    const { slots } = networkOf(called(this, "stateDict"), this);
    return Object.fromEntries(slots.map(({ name, value }) => [name, value])) as never;
  }

  /**
   * Takes the values of tensors by their names, from any runtime.
   *
   * @throws ShapeError with a list of all that is missing, extra or of another shape or dtype;
   *   nothing has changed then
   */
  loadStateDict(dict: Record<string, Tensor<D>>): void {
    const operation = called(this, "loadStateDict");
    const network = networkOf(operation, this);
    checkObject(operation, "dict", dict);
    const entries = Object.entries(dict).map(([name, value]): StateEntry => {
      const tensor = liveTensor(operation, nameOf(name), value);
      const { shape, dtype } = tensor;
      return { name, shape, dtype, copyTo: (target) => target.set(tensor.data) };
    });
    matchState(operation, targetsOf(network), entries)();
  }

  /**
   * The scores in test mode, a new tensor (N, …output). Any number of examples: they go through in
   * batches.
   * @throws as forward
   */
  predict(x: X): S {
    const operation = called(this, "predict");
    const network = networkOf(operation, this);
    const rows = inputRowsOf(operation, x, network);
    return network.runtime.atomically(() => {
      const scores = scoresFor(network, rows.count);
      for (const { plan, start, N } of passes(network, rows, BATCH)) {
        takeScores(scores, network, plan, start, N);
      }
      return byName(network.outputs, scores) as S;
    });
  }

  /** The names of its classes, where the file that it was loaded from has them. */
  get classes(): readonly string[] | undefined {
    return engineOf(this).classes;
  }

  /**
   * The probability of each class, a new tensor (N, …output): the softmax of the scores of a model
   * trained with the loss "softmax", the sigmoid of those of one trained with "bce". A model knows
   * its loss once it has a Trainer, and a file keeps it. Where the last layer is softmax() or
   * sigmoid(), its scores are probabilities already.
   *
   * @param options.loss the loss of a model that does not know it, as one of PyTorch's weights
   * @throws TypeError where nothing tells the loss, RangeError for a loss whose scores are no
   *   probabilities; as forward
   */
  probabilities(x: X, options: { loss?: "softmax" | "bce" | undefined } = {}): Tensor<D> {
    const operation = called(this, "probabilities");
    const network = networkOf(operation, this);
    checkOne(operation, network);
    checkSettings(operation, "options", options, ["loss"]);
    const { loss = network.loss } = options;
    const areProbabilities = network.top.record.givesProbabilities;
    if (!areProbabilities && loss === undefined) {
      throw new TypeError(
        `${operation}: nothing tells what the model's scores are: it has had no Trainer; give { loss: "softmax" } or { loss: "bce" }`,
      );
    }
    if (!areProbabilities && loss !== "softmax" && loss !== "bce") {
      throw new RangeError(
        `${operation}: loss must be "softmax" or "bce", as scores of others are no probabilities, got ${show(loss)}`,
      );
    }
    const scores = this.predict(x) as unknown as TensorHandle<FloatDType>;
    if (!areProbabilities && scores.size > 0) {
      const C = network.outShape[network.outShape.length - 1] as number;
      toProbabilities(network, loss as LossName, scores.address, scores.size, C);
    }
    return scores as Tensor as Tensor<D>;
  }

  /**
   * The class with the highest score for each example, the first of equals; a model of one score
   * that was trained with "bce" answers 1 where it is above 0. The names of the classes, as an
   * array of texts, where the model has names.
   * @throws as forward
   */
  classify(x: X): Classes<C> {
    const operation = called(this, "classify");
    const network = networkOf(operation, this);
    checkOne(operation, network);
    const rows = inputRowsOf(operation, x, network);
    const classes = new Int32Array(rows.count);
    for (const { plan, start, N } of passes(network, rows, BATCH)) {
      classes.set(classesOf(network, plan, N), start);
    }
    const { classes: names } = network;
    return (names ? Array.from(classes, (i) => names[i] as string) : classes) as Classes<C>;
  }

  /**
   * The mean loss and the share of right answers in test mode: the class with the highest score for
   * "softmax" and "svm", and for "bce" a score above 0 where the target is above 0.5.
   * @throws as forward; RangeError for a loss of no known name, a label out of range, and for no
   *   examples at all
   */
  evaluate(options: EvaluateOptions): Evaluation {
    const operation = called(this, "evaluate");
    checkSettings(operation, "options", options, EVALUATE);
    const { x, y, loss = "softmax", batchSize = BATCH, classWeights } = options;
    const given = { x, y, loss, batchSize, classWeights };
    const network = networkOf(operation, this);
    checkOne(operation, network);
    const evaluation = evaluating(operation, network, given);
    let step = evaluation.next();
    while (!step.done) step = evaluation.next();
    return step.value;
  }

  /**
   * The model as it is now, for serving: batch normalisation folded into the weights, bias and ReLU
   * in the product, weights packed, dropout gone. Its scores are those of predict to within 1e-5 of
   * the largest.
   *
   * @param options.maxBatch the most examples that go through at once, from 1 up; default 1
   * @param options.stateful true serves sequences step by step: each run takes one step (1, …) of
   *   up to maxBatch sequences, and recurrent layers keep their states from one to the next until
   *   `predictor.reset()`, with the bits of the whole sequence at once; default false: every run
   *   begins from zeros
   * @throws RangeError for another maxBatch; TypeError where it is stateful and a layer needs
   *   several steps at once, as the way back of a bidirectional one does, or none is recurrent;
   *   DisposedError, MemoryError
   */
  compile(
    options: { maxBatch?: number | undefined; stateful?: boolean | undefined } = {},
  ): Predictor<D, Served<D, S>> {
    const operation = called(this, "compile");
    const network = networkOf(operation, this);
    checkSettings(operation, "options", options, ["maxBatch", "stateful"]);
    const { maxBatch = 1, stateful = false } = options;
    checkCount(operation, "maxBatch", maxBatch);
    checkStateful(operation, stateful);
    network.check(operation);
    const { runtime, dtype, slots } = network;
    const graph = stateful ? streamed(operation, network.graph) : network.graph;
    const { given, nodes } = graph;
    const values = new Map(slots.map(({ name, value }) => [name, value]));
    const program = programOf(
      graph,
      given.map(({ shape }) => sizeOf(shape)),
      (name) => (values.get(name) as TensorHandle<FloatDType>).data,
    );
    const { operations } = program;
    const served = stateful
      ? { ...program, operations: withStates(operations, maxBatch) }
      : program;
    const outputs = graph.outputs.map((value, i) => ({
      name: graph.names[i] as string,
      shape: (nodes[value - graph.inputs] as Node).blueprint.outShape,
    }));
    const host: PredictorHost = {
      kernels: network.kernels,
      buffer: () => (runtime.disposed ? undefined : (runtime.linear.wasm.buffer as ArrayBuffer)),
      allocate(bytes) {
        const block = runtime.lasting("float64", [bytes / 8]);
        return { address: block.address, release: () => block.dispose() };
      },
    };
    return new CompiledPredictor(
      host,
      dtype as D,
      served,
      given,
      outputs,
      maxBatch,
      new Map(),
      network.classes,
    );
  }

  /**
   * The layers as a table: what each puts out, and how many parameters it has. Of more than 100
   * layers it has 100.
   */
  summary(): string {
    const network = networkOf(called(this, "summary"), this);
    const each = (shape: readonly number[]) => `(N, ${shape.join(", ")})`;
    // What feeds a layer of a chain is the one above it.
    const from = (cell: string) => (network.isChain ? [] : [cell]);
    const { inputs, graph } = network;
    const K = graph.inputs;
    const feeds = (values: readonly number[]) =>
      values.map((value) => inputs[value]?.name ?? nodeName(value - K)).join(", ");
    /** Several nodes that apply one layer go by its name and their places. */
    const nodeName = (i: number) => {
      const { blueprint } = network.layers[i] as Engine;
      const alike = network.layers.filter((each) => each.blueprint.layer === blueprint.layer);
      const place = alike.indexOf(network.layers[i] as Engine);
      return alike.length > 1 ? `${blueprint.name}#${place + 1}` : blueprint.name;
    };
    const outputs = new Map(network.outputs.map(({ name, value }) => [value - K, name]));
    const rows = [
      ["", "layer", "output", "parameters", ...from("from")],
      ...inputs.map(({ name, shape }) => [
        ...(network.isChain ? ["", "input"] : [name, "input"]),
        ...[each(shape), "", ...from("")],
      ]),
      ...network.layers.flatMap(({ blueprint, slots }, i, { length }) => {
        const hidden = length - MOST_ROWS;
        if (hidden > 0 && i >= MOST_ROWS - LAST_ROWS && i < length - LAST_ROWS) {
          return i === MOST_ROWS - LAST_ROWS
            ? [["", `… ${grouped(hidden)} more layers`, "", "", ...from("")]]
            : [];
        }
        const learned = slots.filter((slot) => slot.is("learned"));
        const size = learned.reduce((sum, { value }) => sum + value.size, 0);
        const label = labelOf(blueprint.record, blueprint.saved);
        const output = outputs.get(i);
        const mark = network.isChain || output === undefined ? "" : ` → ${output}`;
        const { inputs: taken } = graph.nodes[i] as Node;
        return [
          [
            ...[nodeName(i), label, each(blueprint.outShape) + mark, grouped(size)],
            ...from(feeds(taken)),
          ],
        ];
      }),
    ];
    const widths = [0, 1, 2, 3, 4].map((k) =>
      rows.reduce((most, row) => Math.max(most, (row[k] ?? "").length), 0),
    );
    const lines = rows.map((row) =>
      row
        .map((cell, k) =>
          k % 3 ? cell.padEnd(widths[k] as number) : cell.padStart(widths[k] as number),
        )
        .join("  ")
        .trimEnd(),
    );
    const total = network.learned.reduce((sum, { value }) => sum + value.size, 0);
    const bytes =
      network.slots.reduce((sum, { value }) => sum + value.size, 0) * itemSize[network.dtype];
    return [
      ...lines,
      `${grouped(total)} parameters, ${network.dtype}, ${grouped(bytes)} bytes`,
    ].join("\n");
  }

  override toString(): string {
    return engineOf(this).disposed ? `${engineOf(this).title} (disposed)` : this.summary();
  }

  /** Gives all its memory back, that of its parameters included. A second call does nothing. */
  override dispose(): void {
    engineOf(this).dispose();
  }
}

/** The summary's rows at most, and how many of them are the last layers. */
const MOST_ROWS = 100;
const LAST_ROWS = 10;

/** Of a model that may have been disposed. */
const engineOf = (model: object) => networks.get(model) as Network;

/** New tensors for what a network gives of N examples. */
const scoresFor = ({ runtime, dtype, outputs }: Network, N: number) =>
  outputs.map(({ shape }) => runtime.create(dtype, [N, ...shape]));

/** Copies what the plan has of N examples to the rows of these tensors from `start` on. */
function takeScores(
  scores: readonly TensorHandle<FloatDType>[],
  { outputs }: Network,
  plan: Plan,
  start: number,
  N: number,
): void {
  for (const [i, { size }] of outputs.entries()) {
    const { scores: from } = plan.outputs[i] as { scores: TensorHandle<FloatDType> };
    const to = scores[i] as TensorHandle<FloatDType>;
    to.data.set(from.data.subarray(0, N * size), start * size);
  }
}

/** The only one of some values, or an object of them by the names of what they are of. */
const byName = <T>(ports: readonly Port[], values: readonly T[]): unknown =>
  values.length === 1
    ? values[0]
    : Object.fromEntries(ports.map(({ name }, i) => [name, values[i] as T]));

/** Refuses a model of several outputs, of which nothing tells which one is meant. */
function checkOne(operation: string, { outputs }: Network): void {
  if (outputs.length === 1) return;
  const names = outputs.map(({ name }) => name).join(", ");
  throw new TypeError(
    `${operation}: the model has the outputs ${names}: predict gives all of them`,
  );
}
