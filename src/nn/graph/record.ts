// What a kind of layer is, said once. The planner, the predictor, the files, the command line and
// the tests take from its record what they need to know, and name no kind themselves.

import { readSetting, type Setting } from "../../tensor/numbers.ts";

/**
 * The numbers of a tensor, made when they are asked for, so that one layer's are there at a time.
 */
export interface Operand {
  readonly length: number;
  values(): ArrayLike<number>;
}

/** What the predictor's core runs in one step. */
export interface Operation {
  readonly kind: string;
  /**
   * The values that it takes: 0 to K − 1 are the inputs, and K + i is what operation i of the
   * program gives.
   */
  readonly xs: readonly number[];
  /**
   * It writes a part of another operation's value, from this many elements on: the value by its
   * number. Whoever takes the whole takes that value.
   */
  readonly into?: { readonly value: number; readonly from: number };
  /** Elements of one example before and after. */
  readonly inSize: number;
  readonly outSize: number;
  /** The last axis of one example's output. */
  readonly columns: number;
  /** Its first tensor is the weights of a product, which the core packs. */
  readonly isProduct?: boolean | undefined;
  /** Its numbers, in the order in which the core takes them: those of a product are its bounds. */
  values: number[];
  /** The fields of its Window, in their order. */
  readonly window?: ArrayLike<number> | undefined;
  /** Its tensors, in the order in which the core takes them. */
  operands: readonly Operand[];
  /** The third of its tensors is a state, which one call leaves to the next. */
  readonly keepsState?: boolean;
  /** The normalisations that are folded into a product: the operands of each. */
  folds?: (readonly Operand[])[];
}

/** The settings of a layer, by their names; each has been checked against the record. */
// biome-ignore lint/suspicious/noExplicitAny: every record knows its own
export type Settings = any;

type Shape = readonly number[];

/** The axes of a copy, and the element of an output's example at which it begins. */
export interface Part {
  readonly axes: number[];
  readonly from: number;
}

/** What is known of a kind where models are read and served. */
export interface ServingRecord<Kind extends string = string> {
  readonly kind: Kind;
  /** The settings that a file keeps, in the order in which they are checked. */
  readonly settings?: Readonly<Record<string, Setting>>;
  /** A file's description has these in the place of settings whose values are tensors. */
  readonly stored?: object;
  /**
   * It takes whole numbers, as indices are, in place of the model's dtype: those of a network's
   * input.
   */
  readonly takes?: "int32";
  /** The fewest and the most inputs that it takes; one where it is absent. */
  readonly inputs?: readonly [least: number, most: number];
  /**
   * Why examples of these shapes are not taken; undefined where they are. A kind of several inputs
   * has the shapes of all of them as the last argument, here and below.
   */
  refusal?(inShape: Shape, settings: Settings, inShapes?: readonly Shape[]): string | undefined;
  /** The shape of one example's output; the input's own where it is absent. */
  outShape?(inShape: Shape, settings: Settings, inShapes?: readonly Shape[]): Shape;
  /** The shapes of the tensors, by PyTorch's names and in the order of its state_dict. */
  tensors?(inShape: readonly number[], settings: Settings): Record<string, readonly number[]>;
  /** The kind of its operation, where that has not the kind's own name. */
  readonly operation?: string;
  /** The fields of the Window that its kernels go by, in their order. */
  window?(inShape: Shape, settings: Settings, inShapes?: readonly Shape[]): ArrayLike<number>;
  /** It computes a step of a sequence from others too, or from how many there are. */
  readonly acrossSteps?: boolean;
  /** The fields of the RecurrentStack that its operation goes by, in their order. */
  stack?(inShape: Shape, settings: Settings, inShapes?: readonly Shape[]): ArrayLike<number>;
  /** It serves as a copy of each input into a part of its output. */
  parts?(inShapes: readonly Shape[], settings: Settings): Part[];
  /** It serves by leaving its input as it is. */
  readonly isIdentity?: boolean;
  /** A product, which takes bias, normalisation and ReLU along on its way out. */
  readonly isProduct?: boolean;
  /** The numbers that its kernels take last, and so does its operation. */
  values?(settings: Settings, inShape: Shape, inShapes?: readonly Shape[]): number[];
  /** The length of the rows that it acts on; that of the output's last axis where it is absent. */
  columns?(inShape: readonly number[], settings: Settings): number;
  /** The operation's tensors, from those of the layer; none where it is absent. */
  operands?(tensor: (name: string) => Operand, columns: number, settings: Settings): Operand[];
  /** Makes itself a part of the product that its input comes from. */
  join?(product: Operation, operands: readonly Operand[]): void;
  /** Nothing behind it joins the same product. */
  readonly endsProduct?: boolean;
  /** It joins in training too. */
  readonly joinsTraining?: boolean;
}

/** What is known of a kind beside that where models are made and trained. */
export interface TrainingRecord {
  /** The setting that the layer's function takes first: 256 in affine(256). */
  readonly argument?: string;
  /** What a description may have beside its settings: first values, which a file has as tensors. */
  readonly first?: readonly string[];
  /** What the summary adds to the kind and its argument. */
  remark?(settings: Settings): string;
  /**
   * The command line offers it among the hidden layers: as an activation, which two products need
   * between them, or beside one.
   */
  readonly hidden?: "activation" | "other";
  /** What the command line writes, where that is not the kind's own name: "conv:16x5". */
  readonly example?: string;
  /** Its outputs are probabilities, with which no loss but "mse" is trained. */
  readonly givesProbabilities?: boolean;

  /**
   * The tensors that the optimizer changes, and those of them that are the weights (…, M) of a
   * product: l2 keeps them small, and a file may have them as float16 or int8.
   */
  readonly learned?: readonly string[];
  readonly decays?: readonly string[];
  /**
   * The tensors that PyTorch has with their two axes exchanged, and those of its layer that have no
   * use here.
   */
  readonly transposed?: readonly string[];
  readonly dropped?: readonly string[];

  /**
   * The tensors are those of a recurrent layer of PyTorch's: for each block of ours which of theirs
   * it is.
   */
  readonly torchBlocks?: readonly number[];

  /** Its output of several axes is no image of PyTorch's: a weight behind it stands as it is. */
  readonly reorders?: boolean;

  /** The forward pass may write its output where its input is. */
  readonly inPlace?: boolean;
  /**
   * What the backward pass reads beside dout: its input, its output, or where its output is above
   * 0.
   */
  readonly keeps?: "x" | "out" | "sign";
  /** The output is above 0 exactly where the input is, or the gradient is 0 there anyway. */
  readonly keepsSign?: boolean;
  /** The backward pass may not write dx where dout is. */
  readonly apartGradient?: boolean;
}

export type LayerRecord = ServingRecord & TrainingRecord;

/** A layer in its place: its settings and shapes have been checked, and nothing is allocated. */
export interface Blueprint<Known extends ServingRecord = ServingRecord> {
  readonly record: Known;
  /** The description as it was given, first values included. */
  readonly spec: object;
  /** "Sequential: layer 2 (batchnorm)", for messages. */
  readonly place: string;
  /** The names of its tensors begin with this: the layer's index, or the name that it has. */
  readonly name: string;
  /** The number of the layer, which several nodes may be applications of. */
  readonly layer: number;
  /** The shape of one example, before and after; of several inputs that of the first. */
  readonly inShape: readonly number[];
  readonly outShape: readonly number[];
  readonly inShapes: readonly (readonly number[])[];
  /** The description that a file keeps; its tensors hold the rest. */
  readonly saved: { readonly kind: string };
  readonly tensors: Readonly<Record<string, readonly number[]>>;
}

/**
 * The settings of a description by its record, with the fallbacks of those that are left out.
 * @throws RangeError or TypeError for a value that its setting may not have
 */
export function settingsOf(
  operation: string,
  { settings = {} }: ServingRecord,
  given: { readonly [name: string]: unknown },
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, setting]) => {
      const { [name]: value = setting[1] } = given;
      const isLeftOut = value === undefined && setting.length > 1;
      return [name, isLeftOut ? value : readSetting(operation, name, setting, value)];
    }),
  );
}

/** "affine(256)", for summaries. */
export function labelOf({ kind, argument, remark }: LayerRecord, settings: Settings): string {
  if (!argument) return kind;
  const given = settings[argument];
  const text = typeof given === "object" ? Object.values(given) : given;
  return `${kind}(${text}${remark?.(settings) ?? ""})`;
}
