// `lamella bench` tells how fast this machine is with Lamella, beside the most that it can do in
// WebAssembly.

import { arch, cpus, platform } from "node:os";
import process from "node:process";
import { adam, affine, affineForward, type Runtime, relu, Sequential, Trainer } from "lamella";
import relaxedLimits from "../../build/limits.relaxed.wasm";
import limits from "../../build/limits.wasm";
import { measure, median, type Timed } from "./measure.ts";
import { openRuntime } from "./runtime.ts";
import { bold, duration, integer, json, note, print, table } from "./terminal.ts";

export interface BenchOptions {
  seconds: number;
  json?: boolean;
}

/** The exports of bench/support/limits.ts. */
interface Limits {
  multiply_add(turns: number, factor: number): number;
  read(address: number, bytes: number): number;
  copy(to: number, from: number, bytes: number): void;
}

interface Row extends Timed {
  group: "limits" | "product" | "training" | "prediction";
  /** One call does this much of what the figure counts. */
  work: number;
  unit: "GFLOP/s" | "GB/s" | "examples/s";
  variant?: string;
  threads?: number;
  /** The name of the row that tells the upper bound. */
  limit?: string;
}

const MIB = 2 ** 20;
const TURNS = 20_000;
const SIDE = 512;
const BATCH = 128;

function openLimits(bytes: Uint8Array<ArrayBuffer>): Limits | undefined {
  if (!WebAssembly.validate(bytes)) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  // Memory that has never been written is one page of zeros, which always lies in the first cache.
  new Uint8Array((exports.memory as WebAssembly.Memory).buffer).fill(1);
  return exports as unknown as Limits;
}

function limitRows(): Row[] {
  const strict = openLimits(limits) as Limits;
  const relaxed = openLimits(relaxedLimits);
  const peak = (name: string, core: Limits): Row => ({
    ...{ group: "limits", name, work: 96 * TURNS, unit: "GFLOP/s" },
    call: () => void core.multiply_add(TURNS, 0.5),
  });
  const flow = (name: string, work: number, call: () => void): Row => ({
    ...{ group: "limits", name, work, unit: "GB/s", call },
  });
  return [
    peak(PEAK, strict),
    ...(relaxed ? [peak(RELAXED_PEAK, relaxed)] : []),
    flow("read, 256 KiB", MIB / 4, () => void strict.read(0, MIB / 4)),
    flow("read, 16 MiB", 16 * MIB, () => void strict.read(0, 16 * MIB)),
    flow("memory.copy, 4 MiB, read and written", 8 * MIB, () => strict.copy(0, 16 * MIB, 4 * MIB)),
  ];
}

const PEAK = "128-bit multiply, then add";
const RELAXED_PEAK = "128-bit multiply-add, relaxed";

const network = (runtime: Runtime) =>
  new Sequential(runtime, {
    input: [784],
    layers: [affine(512), relu(), affine(256), relu(), affine(10)],
  });

/** Returns the rows of one build of the core. */
function computing(runtime: Runtime): Row[] {
  const { variant, threads } = runtime;
  const by = threads > 1 ? `${variant}, ${threads} threads` : variant;
  const random = runtime.random(1);
  const operand = (shape: number[]) =>
    runtime.tensor(Float32Array.from(random.randn(...shape).toTypedArray()), shape);
  const [x, w, b, out] = [
    operand([SIDE, SIDE]),
    operand([SIDE, SIDE]),
    runtime.zeros([SIDE]),
    runtime.zeros([SIDE, SIDE]),
  ];
  const model = network(runtime);
  const trainer = new Trainer(model, { loss: "softmax", optimizer: adam({ learningRate: 1e-4 }) });
  const images = operand([BATCH, 784]);
  const labels = Int32Array.from({ length: BATCH }, (_, i) => i % 10);
  const rows: Row[] = [
    {
      ...{ group: "product", name: `${SIDE}³ product, ${by}`, work: 2 * SIDE * SIDE * SIDE },
      ...{ unit: "GFLOP/s", variant, threads },
      call: () => affineForward(x, w, b, { out }).cache.dispose(),
    },
    {
      ...{ group: "training", name: `train step, ${by}`, work: BATCH, unit: "examples/s" },
      ...{ variant, threads },
      call: () => void trainer.step(images, labels),
    },
  ];
  if (threads === 1) {
    const [product] = rows;
    if (product) product.limit = variant === "relaxed" ? RELAXED_PEAK : PEAK;
    const predictor = model.compile({ maxBatch: 1 });
    predictor.input.set(images.data.subarray(0, 784));
    rows.push({
      ...{ group: "prediction", name: `one prediction, ${by}`, work: 1, unit: "examples/s" },
      ...{ variant, threads },
      call: () => predictor.run(),
    });
  }
  return rows;
}

function hostName(): string {
  const { versions } = process as { versions: Record<string, string | undefined> };
  const name = ["deno", "bun"].find((host) => versions[host]) ?? "node";
  return `${name[0]?.toUpperCase()}${name.slice(1)} ${versions[name]}`;
}

export async function bench({ seconds, json: isJson }: BenchOptions): Promise<void> {
  const cores = cpus().length;
  const host = {
    ...{ lamella: VERSION, runtime: hostName(), platform: `${platform()} ${arch()}` },
    ...{ cpu: cpus()[0]?.model.trim() ?? "unknown", cores },
  };
  const limitsOfCore = limitRows();
  const hasRelaxed = limitsOfCore.some(({ name }) => name === RELAXED_PEAK);
  const missing: string[] = [];
  if (!hasRelaxed) missing.push("relaxed: this host does not know relaxed SIMD");
  const runtimes = [await openRuntime({})];
  if (hasRelaxed) runtimes.push(await openRuntime({ relaxed: true }));
  if (cores > 1) {
    try {
      runtimes.push(await openRuntime({ threads: "auto" }));
    } catch (error) {
      missing.push(`threads: ${(error as Error).message}`);
    }
  } else missing.push("threads: the processor has one core");

  if (!isJson) {
    print(
      `${bold(`Lamella ${host.lamella}`)} on ${host.runtime}, ${host.platform}, ${host.cpu}, ${cores} cores; ${seconds} s`,
    );
  }
  const rows = [...limitsOfCore, ...runtimes.flatMap(computing)];
  const cpu = process.cpuUsage();
  const began = performance.now();
  const times = measure(rows, seconds);
  const { user, system } = process.cpuUsage(cpu);
  /** The processor's share of the time that passed; several threads have more than 1. */
  const share = (user + system) / 1000 / (performance.now() - began);
  const secondsOf = (name: string) => times.get(name) as number[];
  const results = rows.map(({ group, name, work, unit, variant, threads, limit }) => {
    const all = secondsOf(name);
    const scale = unit === "examples/s" ? 1 : 1e9;
    const rate = (seconds: number) => work / seconds / scale;
    const [middle, least] = [median(all), all.reduce((a, b) => (b < a ? b : a))];
    // The ratio is taken within each round, in which both ran on the same machine at one time.
    const limitRow = rows.find((row) => row.name === limit);
    const ofLimit =
      limitRow &&
      median(
        all.map((s, i) => work / s / (limitRow.work / (secondsOf(limitRow.name)[i] as number))),
      );
    return {
      ...{ group, name, unit, median: rate(middle), best: rate(least), ofLimit },
      ...{ seconds: middle, rounds: all.length, variant, threads },
    };
  });
  for (const runtime of runtimes) runtime.dispose();

  if (isJson) {
    print(json({ host, seconds, processorShare: share, missing, results }, 2));
    return;
  }
  const figure = (value: number) => (value >= 1000 ? integer(value) : value.toFixed(1));
  const titles = {
    limits: "The most that one core gives to WebAssembly",
    product: `Matrix product, ${SIDE} × ${SIDE} · ${SIDE} × ${SIDE}, float32`,
    training: `Train step, 784-512-256-10, ${BATCH} examples, softmax, Adam`,
    prediction: "One prediction, 784-512-256-10, compiled",
  };
  const head = ["", "median", "best", "unit", "a call", "of the limit above"];
  const lines = results.map(({ name, unit, median, best, seconds, ofLimit }) => [
    `  ${name}`,
    figure(median),
    figure(best),
    unit,
    unit === "examples/s" ? duration(seconds) : "",
    ofLimit === undefined ? "" : `${(100 * ofLimit).toFixed(0)} %`,
  ]);
  // All groups have the same columns, and each figure stays beside its unit in every terminal.
  const options = { together: 4, among: [head, ...lines].map((line) => line.slice(0, 4)) };
  for (const [group, title] of Object.entries(titles)) {
    const shown = lines.filter((_, i) => results[i]?.group === group);
    const isThere = (_: string, k: number) => k < 4 || shown.some((line) => line[k]);
    const drawn = [head, ...shown].map((line) => line.filter(isThere));
    print(`\n${bold(title)}\n${table(drawn, "lrrlrr".slice(0, drawn[0]?.length), false, options)}`);
  }
  if (share < 0.9) {
    note(
      `\nother programs had the processor for ${(100 - 100 * share).toFixed(0)} % of the time: trust "best", or measure again`,
    );
  }
  for (const reason of missing) note(`not measured: ${reason}`);
}
