// One case of one row of the table: operands, perhaps a fault, the call, and what must hold after
// it.

import {
  type Cache,
  createRuntimeSync,
  type MemoryFigures,
  type Runtime,
  reluForward,
  type Tensor,
  tanhForward,
} from "../../src/index.ts";
import { TensorHandle } from "../../src/tensor/tensor.ts";
import { type DType, dtypes, seeded } from "../support/core.ts";
import { Draw, type Profile, profiles, type Shape } from "./draw.ts";
import {
  type ErrorName,
  type Expected,
  type Operation,
  operations,
  type Precision,
  type Results,
  type Settings,
  type Shapes,
  type Tensors,
  type Values,
} from "./operations.ts";

/** What fast-check draws; all else follows from it. */
export interface Case {
  operation: number;
  dtype: number;
  profile: number;
  /** No length is above it. */
  most: number;
  fault: number;
  seed: number;
}

/** Of so many cases none of which has a fault, some for each operation. */
export function plainCases(each: number, most: number): Case[] {
  const random = seeded(most);
  const whole = (below: number) => Math.floor(below * random());
  return operations.flatMap((_, operation) =>
    Array.from({ length: each }, () => ({
      ...{ operation, dtype: whole(2), profile: 1 + whole(2), most, fault: 0 },
      seed: whole(2 ** 31),
    })),
  );
}

const faults = [
  ...["none", "none", "none", "none", "none", "none", "none", "none"],
  ...["shape", "operand", "operand", "destination", "alias", "cache", "settings", "settings"],
] as const;
type Fault = (typeof faults)[number];

/** Numbers about a dtype that the twins and the comparison need. */
export const precisions: readonly (Precision & { type: DType; range: number })[] = [
  {
    ...{ type: dtypes[0]!, epsilon: 2 ** -23, tiny: 2 ** -149, round: Math.fround },
    ...{ range: 2 ** 128, largest: 2 ** 128 - 2 ** 104 },
  },
  {
    ...{ type: dtypes[1]!, epsilon: 2 ** -52, tiny: 2 ** -1074, round: (value: number) => value },
    ...{ range: 2 ** 1023, largest: Number.MAX_VALUE },
  },
];

/**
 * What stands between a case and its call: makes it, perhaps after it was refused for want of
 * memory. `unchanged` throws where the memory's figures or an operand are not as they were before.
 */
export type Around = (call: () => Results, unchanged: () => void) => Results;

/** The runtimes that cases are played on. */
export class World {
  readonly foreign = createRuntimeSync();
  /** Of a runtime that has been disposed. */
  readonly gone = (() => {
    const runtime = createRuntimeSync();
    const tensor = runtime.zeros([2, 2]);
    runtime.dispose();
    return tensor;
  })();

  constructor(
    readonly runtime: Runtime = createRuntimeSync(),
    readonly around: Around = (call) => call(),
  ) {}

  /** Plays a case; throws where something is not as it must be. What came of it. */
  play({ operation, dtype, profile, most, fault, seed }: Case): string {
    const { runtime, foreign } = this;
    const before = [runtime.memory, foreign.memory];
    const played = runtime.scope(() =>
      foreign.scope(() =>
        new Play(
          this,
          operations[operation % operations.length]!,
          precisions[dtype % 2]!,
          profiles[profile % profiles.length]!,
          new Draw(seed, most, precisions[dtype % 2]!.range),
          faults[fault % faults.length]!,
        ).outcome(),
      ),
    );
    for (const [i, { bytesLive, tensors }] of [runtime.memory, foreign.memory].entries()) {
      if (bytesLive !== before[i]!.bytesLive || tensors !== before[i]!.tensors)
        throw new Error(
          `something stays allocated: ${JSON.stringify([before[i], { bytesLive, tensors }])}`,
        );
    }
    return played;
  }
}

const bytesOf = (tensor: Tensor): Buffer => {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return Buffer.from(buffer, byteOffset, byteLength);
};

const sizeOf = (shape: Shape) => shape.reduce((a, b) => a * b, 1);

class Play {
  /** Every tensor that is live, and the bytes that it has before the call. */
  private readonly watched: { name: string; tensor: Tensor; bytes: Buffer }[] = [];
  private readonly t: Tensors = {};
  private readonly v: Values = {};
  private readonly expected = new Set<ErrorName>();
  private readonly to: Record<string, unknown> = {};
  private cache: Cache | undefined;
  private shapes: Shapes;
  private settings: Settings;

  constructor(
    private readonly world: World,
    private readonly operation: Operation,
    private readonly precision: (typeof precisions)[number],
    private readonly profile: Profile,
    private readonly draw: Draw,
    private readonly fault: Fault,
  ) {
    this.shapes = operation.operands(draw);
    this.settings = operation.settings?.(draw, this.shapes) ?? {};
  }

  /** The operands that the call takes itself and looks at. */
  private get own(): string[] {
    const { saved = [] } = this.operation;
    const absent = (name: string) => this.settings.absent && name.startsWith("running");
    return Object.keys(this.shapes).filter((name) => !saved.includes(name) && !absent(name));
  }

  outcome(): string {
    const { operation, draw, fault, expected, world } = this;
    const { runtime } = world;
    if (fault === "shape" && this.own.length > 0) this.spoilShape();
    const fits = operation.fits(this.shapes, this.settings);
    if (fits !== true) expected.add(fits);
    this.makeOperands();
    this.prepare();
    if (operation.destinations && fits === true) this.makeDestinations();
    if (fault === "settings" && operation.wrong) {
      const [settings, error] = draw.pick(operation.wrong);
      this.settings = { ...this.settings, ...settings };
      expected.add(error);
    }
    if (fault === "operand") this.spoilOperand();
    if (fault === "cache" && this.cache) this.spoilCache();

    const live = this.watched.filter(({ tensor }) => !(tensor as TensorHandle).disposed);
    for (const each of live) each.bytes = Buffer.from(bytesOf(each.tensor));
    const before = runtime.memory;
    const unchanged = (figures: readonly (keyof MemoryFigures)[] = ["bytesLive", "tensors"]) => {
      const after = runtime.memory;
      for (const key of figures) {
        if (before[key] !== after[key])
          throw new Error(`after a refusal ${key} is ${after[key]}, was ${before[key]}`);
      }
      for (const { name, tensor, bytes } of live) {
        if (Buffer.compare(bytes, bytesOf(tensor)) !== 0)
          throw new Error(`a refusal changed ${name}`);
      }
    };
    const call = () =>
      operation.run({
        runtime,
        t: this.t,
        settings: this.settings,
        to: operation.destinations && this.to,
        cache: this.cache,
      });
    let results: Results;
    try {
      results = world.around(call, unchanged);
    } catch (error) {
      const { name, message } = error as Error;
      const isNamed = /^\S+: ./.test(message) || /^Invalid forward/.test(message);
      const isRight = expected.has(name as ErrorName) && isNamed;
      if (!(isRight && (error as Error).constructor.name === name)) throw error;
      if (operation.late) unchanged();
      else unchanged(["bytesLive", "tensors", "bytesPeak", "bytesReserved"]);
      return name;
    }
    if (expected.size > 0) throw new Error(`expected ${[...expected].join(" or ")}, got a result`);
    const changed = operation.changes?.(this.settings) ?? [];
    const writable = new Set(
      [...Object.values(this.to), ...changed.map((name) => this.t[name])]
        .filter((tensor) => tensor instanceof TensorHandle)
        .map(({ storage }) => storage),
    );
    for (const { name, tensor, bytes } of live) {
      if (writable.has((tensor as TensorHandle).storage)) continue;
      if (Buffer.compare(bytes, bytesOf(tensor)) !== 0) throw new Error(`the call changed ${name}`);
    }
    this.compare(results);
    for (const result of Object.values(results)) if (typeof result === "object") result.dispose();
    return "right";
  }

  private watch<T extends Tensor>(name: string, tensor: T): T {
    this.watched.push({ name, tensor, bytes: Buffer.alloc(0) });
    return tensor;
  }

  private spoilShape(): void {
    const { draw, own } = this;
    const name = draw.pick(own);
    const shape = [...this.shapes[name]!];
    const axis = draw.int(0, shape.length - 1);
    const kind = draw.int(0, 3);
    if (kind === 0 && shape.length > 0) shape[axis]!++;
    else if (kind === 1 && shape.length > 0) shape[axis] = 0;
    else if (kind === 2) shape.splice(axis, 1);
    else shape.splice(axis, 0, draw.int(1, 2));
    this.shapes = { ...this.shapes, [name]: shape };
  }

  private makeOperands(): void {
    const { draw, precision, world, t, v } = this;
    const changed = this.operation.changes?.(this.settings) ?? [];
    const { array } = precision.type;
    for (const [name, shape] of Object.entries(this.shapes)) {
      const like = Object.keys(t).find((other) => sizeOf(this.shapes[other]!) === sizeOf(shape));
      // Some arguments share their data, where the call writes to none of the two.
      if (like && !changed.includes(like) && !changed.includes(name) && draw.chance(0.1)) {
        t[name] = this.watch(name, t[like]!.reshape(shape));
        v[name] = v[like]!;
        continue;
      }
      const profile = draw.chance(0.1) ? draw.pick(profiles) : this.profile;
      const values = array.from({ length: sizeOf(shape) }, () => draw.value(profile));
      v[name] = values;
      t[name] = this.watch(name, world.runtime.tensor(values, shape) as Tensors[string]);
    }
  }

  private prepare(): void {
    const { operation, t, v } = this;
    if (!operation.prepare) return;
    const { cache, shown = {} } = operation.prepare(t, this.settings);
    this.cache = cache;
    for (const [name, tensor] of Object.entries(shown)) {
      v[name] = tensor.toTypedArray();
      this.watch(name, tensor);
    }
  }

  /**
   * Names of all operands of so many elements that share, or do not, their data with a destination
   * by right.
   */
  private partners(destination: string, size: number, mayShare: boolean): string[] {
    const { operation, settings, shapes } = this;
    const saved = operation.saved ?? [];
    return [...saved, ...this.own].filter(
      (name) =>
        sizeOf(shapes[name]!) === size &&
        (operation.mayShare?.(destination, name, settings) ?? false) === mayShare,
    );
  }

  private makeDestinations(): void {
    const { operation, draw, to, t, precision, world, expected, fault } = this;
    const { runtime, foreign } = world;
    const wanted = operation.destinations!(this.shapes, this.settings);
    const names = Object.keys(wanted);
    const other = precision.type.dtype === "float32" ? "float64" : "float32";
    let isShared = false;
    const fresh = (shape: Shape) =>
      this.watch("a destination", runtime.full(shape, NaN, precision.type.dtype));
    for (const name of names) {
      const shape = wanted[name]!;
      const partners = this.partners(name, sizeOf(shape), true);
      const kind = draw.int(0, 3);
      if (kind < 2) {
        if (operation.optional?.includes(name) && draw.chance(0.3)) to[name] = false;
        else if (draw.chance(0.1)) to[name] = undefined;
      } else if (!isShared && partners.length > 0 && kind === 2) {
        isShared = true;
        const partner = draw.pick(partners);
        to[name] =
          t[partner]!.shape.join() === shape.join() && draw.chance(0.5)
            ? t[partner]
            : this.watch(`${name} onto ${partner}`, t[partner]!.reshape(shape));
        // Another operand may share these data in turn, and not be one that may.
        const { storage } = to[name] as TensorHandle;
        const bad = this.partners(name, sizeOf(shape), false).some(
          (bad) => (t[bad] as TensorHandle).storage === storage,
        );
        if (bad && sizeOf(shape) > 0) expected.add("AliasError");
      } else {
        to[name] = fresh(shape);
      }
    }
    if (names.length === 0) return;
    const name = draw.pick(names);
    const shape = wanted[name]!;
    if (fault === "alias") {
      const partners = this.partners(name, sizeOf(shape), false);
      const twin = names.find((each) => each !== name && sizeOf(wanted[each]!) === sizeOf(shape));
      if (twin && (partners.length === 0 || draw.chance(0.5))) {
        to[twin] = fresh(wanted[twin]!);
        to[name] = this.watch("alias", (to[twin] as Tensor).reshape(shape));
      } else if (partners.length > 0) {
        to[name] = this.watch("alias", t[draw.pick(partners)]!.reshape(shape));
      } else {
        return;
      }
      if (sizeOf(shape) > 0) expected.add("AliasError");
    } else if (fault === "destination") {
      const [tensor, error] = draw.pick<() => readonly [unknown, ErrorName]>([
        () => [
          this.watch("larger", runtime.zeros([...shape, 1], precision.type.dtype)),
          "ShapeError",
        ],
        () => [this.watch("int32", runtime.zeros(shape, "int32")), "DTypeError"],
        () => [this.watch("other dtype", runtime.zeros(shape, other)), "DTypeError"],
        () => [foreign.zeros(shape, precision.type.dtype), "RuntimeMismatchError"],
        () => {
          const tensor = fresh(shape);
          tensor.dispose();
          return [tensor, "DisposedError"];
        },
        () => [world.gone, "DisposedError"],
        () => [draw.pick([null, 3, "out", true, {}, [1], new Float32Array(1)]), "TypeError"],
      ])();
      to[name] = tensor;
      expected.add(error);
    }
  }

  private spoilOperand(): void {
    const { operation, draw, own, t, shapes, precision, world, expected } = this;
    if (own.length === 0) return;
    const name = draw.pick(own);
    const shape = shapes[name]!;
    const other = precision.type.dtype === "float32" ? "float64" : "float32";
    const given = Object.values(this.to).filter((tensor) => tensor instanceof TensorHandle);
    const isAlone = own.length + given.length === 1 && !this.cache;
    const dispose = (): ErrorName => {
      t[name]!.dispose();
      return "DisposedError";
    };
    const replace = (tensor: unknown, error: ErrorName) => () => {
      t[name] = tensor as never;
      return error;
    };
    const kinds = [dispose];
    if (!operation.free) {
      const nothing = name.startsWith("running")
        ? []
        : name === "dout"
          ? [null]
          : operation.nullable?.includes(name)
            ? [undefined]
            : [null, undefined];
      kinds.push(
        replace(world.gone, "DisposedError"),
        replace(world.runtime.zeros(shape, "int32"), "DTypeError"),
        replace(draw.pick([...nothing, 3, "x", {}, [1], new Float32Array(2)]), "TypeError"),
      );
      if (!isAlone) {
        kinds.push(
          replace(world.runtime.zeros(shape, other), "DTypeError"),
          replace(world.foreign.zeros(shape, precision.type.dtype), "RuntimeMismatchError"),
        );
      }
    }
    expected.add(draw.pick(kinds)());
    // Nor is a destination live then that is this operand.
    if (given.some((tensor) => (tensor as TensorHandle).disposed)) expected.add("DisposedError");
  }

  private spoilCache(): void {
    const { draw, expected, operation, world } = this;
    const cache = this.cache as Cache & Record<string, unknown>;
    const held = ["x", "w", "a", "b", "gamma", "out", "std", "mask"].filter(
      (name) => cache[name] instanceof TensorHandle,
    );
    const kind = draw.int(0, held.length > 0 ? 3 : 2);
    if (kind === 0) {
      this.cache = draw.pick([null, undefined, {}, [], 3, "cache", { ...cache }]) as never;
      expected.add("TypeError");
    } else if (kind === 1) {
      const another = operation.name.startsWith("relu") ? tanhForward : reluForward;
      this.cache = (another as typeof reluForward)(world.runtime.ones([2])).cache;
      expected.add("TypeError");
    } else if (kind === 2) {
      cache.dispose();
      expected.add("DisposedError");
    } else {
      (cache[draw.pick(held)] as Tensor).dispose();
      expected.add("DisposedError");
    }
  }

  private compare(results: Results): void {
    const { operation, v, shapes, settings, precision, world, to } = this;
    const actual: Values = {};
    for (const [name, result] of Object.entries(results)) {
      if (result === undefined) continue;
      actual[name] = typeof result === "number" ? [result] : result.toTypedArray();
      if (to[name] instanceof TensorHandle && to[name] !== result)
        throw new Error(`${name} is not the destination that was given`);
      if (to[name] === false) throw new Error(`${name} was to be left out`);
    }
    const expected = operation.twin({
      ...{ v, shapes, settings, precision, runtime: world.runtime, results: actual },
    });
    for (const [name, values] of Object.entries(actual)) {
      if (!expected[name]) throw new Error(`no twin of ${name}`);
      // What is accumulated in float64 whatever the dtype has its range.
      const { largest } = typeof results[name] === "number" ? precisions[1]! : precision;
      compare(name, values, expected[name], largest);
    }
  }
}

/**
 * Throws where a value is neither what is expected, nor within its bound, nor beyond the dtype's
 * range.
 */
export function compare(
  name: string,
  actual: ArrayLike<number>,
  { values, bound = 0, scale, loose }: Expected,
  largest: number,
): void {
  if (actual.length !== values.length)
    throw new Error(`${name} has ${actual.length} elements, expected ${values.length}`);
  for (let i = 0; i < values.length; i++) {
    const [a, e] = [actual[i]!, values[i]!];
    if (a === e || (Number.isNaN(a) && Number.isNaN(e))) continue;
    // Beyond the dtype's range there is no saying which of infinity, NaN and the number it becomes.
    const within = typeof bound === "number" ? bound : bound[i]!;
    if (Number.isNaN(within) && Number.isFinite(e)) continue;
    const mayPass = scale !== undefined && scale[i]! > largest / 4;
    if (mayPass && !(Number.isFinite(a) && Number.isFinite(e) && Number.isFinite(within))) continue;
    if (loose && !Number.isFinite(a) && !Number.isFinite(e)) continue;
    if (Number.isFinite(e) && (Math.abs(a - e) <= within || within === Infinity)) continue;
    throw new Error(
      `${name}[${i}] is ${a}, expected ${e} to within ${within} (scale ${scale?.[i]}, apart by ${Math.abs(a - e)})`,
    );
  }
}
