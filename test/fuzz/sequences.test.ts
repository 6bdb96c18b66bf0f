// Programs of calls, disposals, aliases and nested scopes, against a model of who holds what: after
// every step `tensors` is the number of live handles, and `bytesLive` the sum of the blocks that
// they keep.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  affineForward,
  batchnormForward,
  type Cache,
  createRuntimeSync,
  dropoutForward,
  type Runtime,
  reluForward,
  type Tensor,
} from "../../src/index.ts";
import type { LamellaRuntime } from "../../src/tensor/runtime.ts";
import { Draw } from "./draw.ts";
import { runs, seed, Tally } from "./runs.ts";

/** Each has some forty steps. */
const programs = Math.ceil(runs / 50);

/** What a handle points to. */
interface Block {
  bytes: number;
  handles: number;
}

/** Something of the runtime's, and the handles that it holds: its own, or a cache's. */
interface Entry {
  thing: Tensor | Cache;
  blocks: Block[];
  live: boolean;
}

class Program {
  private readonly runtime: Runtime = createRuntimeSync({ initialMemory: 65536 });
  private readonly blocks = new Set<Block>();
  /** What each open scope owns, the outermost first, which is no scope. */
  private readonly scopes: Entry[][] = [[]];

  constructor(private readonly draw: Draw) {}

  run(steps: number): void {
    for (let i = 0; i < steps; i++) this.step(3);
    for (const entry of this.scopes[0]!) this.dispose(entry);
    this.check();
    expect(this.runtime.memory).toMatchObject({ bytesLive: 0, tensors: 0 });
    this.runtime.dispose();
  }

  private step(depth: number): void {
    const { draw, runtime } = this;
    const kind = draw.int(0, 8);
    const x = this.anyTensor();
    if (kind === 0 || !x) {
      const shape = [draw.int(0, 5), draw.int(0, 40)];
      const made = runtime.full(shape, 1);
      this.add(made, [this.block(4 * made.size)]);
    } else if (kind === 1) {
      this.add((x.thing as Tensor).reshape([-1]), [x.blocks[0]!]);
    } else if (kind === 2) {
      this.forward(x, draw.int(0, 3));
    } else if (kind < 6) {
      this.dispose(draw.pick(this.scopes.flat()));
    } else if (depth > 0 && kind === 6) {
      this.scope(depth);
    } else {
      this.refused(x);
    }
    this.check();
  }

  private scope(depth: number): void {
    const { draw, runtime, scopes } = this;
    const throws = draw.chance(0.2);
    const kept: Entry[] = [];
    const inside: Entry[] = [];
    const body = () => {
      scopes.push(inside);
      for (let i = draw.int(0, 8); i > 0; i--) this.step(depth - 1);
      scopes.pop();
      if (throws) throw new SyntaxError("of the program");
      // One of those outside may be in the result as well, and changes nothing.
      const own = inside.filter(() => draw.chance(0.3));
      kept.push(...own.filter(({ live }) => live));
      return { deep: [new Set([...own, ...scopes.flat().slice(0, 1)].map(({ thing }) => thing))] };
    };
    if (throws) expect(() => runtime.scope(body)).toThrow(SyntaxError);
    else runtime.scope(body);
    for (const entry of inside) if (!kept.includes(entry)) this.forget(entry);
    scopes.at(-1)!.push(...kept);
  }

  private forward(x: Entry, kind: number): void {
    const { runtime } = this;
    const tensor = x.thing as Tensor<"float32">;
    const own = () => this.block(4 * tensor.size);
    if (kind === 0) {
      const { out, cache } = reluForward(tensor);
      this.add(out, [own()]);
      this.add(cache, [x.blocks[0]!]);
    } else if (kind === 1) {
      const { out, cache } = dropoutForward(tensor, { p: 0.5, mode: "test" });
      this.add(out, [x.blocks[0]!]);
      this.add(cache, []);
    } else if (kind === 2) {
      const { out, cache } = dropoutForward(tensor, { p: 0.5, mode: "train" });
      this.add(out, [own()]);
      this.add(cache, [own()]);
    } else if (tensor.shape.length === 2) {
      const [N, D] = tensor.shape as [number, number];
      const vector = runtime.zeros([D]);
      const w = runtime.zeros([D, 2]);
      const b = runtime.zeros([2]);
      const of = { vector: this.block(4 * D), w: this.block(8 * D), b: this.block(8) };
      const affine = affineForward(tensor, w, b, { activation: "relu" });
      const out = this.block(8 * N);
      this.add(affine.out, [out]);
      this.add(affine.cache, [x.blocks[0]!, of.w, of.b, out]);
      const norm = batchnormForward(tensor, vector, vector, {
        ...{ mode: "test", runningMean: vector, runningVar: vector },
      });
      this.add(norm.out, [own()]);
      this.add(norm.cache, [x.blocks[0]!, of.vector, this.block(16 * D)]);
      for (const [name, thing] of Object.entries({ vector, w, b }))
        this.add(thing, [of[name as keyof typeof of]]);
    }
  }

  /** Calls that do nothing. */
  private refused(x: Entry): void {
    const tensor = x.thing as Tensor<"float32">;
    expect(() => tensor.reshape([tensor.size + 1])).toThrow();
    expect(() => affineForward(tensor, tensor, tensor)).toThrow();
    expect(() => this.runtime.zeros([2 ** 40])).toThrow();
    expect(() => reluForward(tensor, { out: this.runtime as never })).toThrow();
  }

  private anyTensor(): Entry | undefined {
    const live = this.scopes.flat().filter(({ thing, live }) => live && "data" in thing);
    return live.length > 0 ? this.draw.pick(live) : undefined;
  }

  private block(bytes: number): Block {
    const block = { bytes: Math.ceil(bytes / 64) * 64, handles: 0 };
    this.blocks.add(block);
    return block;
  }

  private add(thing: Tensor | Cache, blocks: Block[]): void {
    for (const block of blocks) block.handles++;
    this.scopes.at(-1)!.push({ thing, blocks, live: true });
  }

  private dispose(entry: Entry | undefined): void {
    entry?.thing.dispose();
    if (entry) this.forget(entry);
  }

  private forget(entry: Entry): void {
    if (!entry.live) return;
    entry.live = false;
    for (const block of entry.blocks) block.handles--;
  }

  private check(): void {
    const { runtime, blocks } = this;
    let [bytesLive, tensors] = [0, 0];
    for (const block of blocks) {
      tensors += block.handles;
      if (block.handles > 0) bytesLive += block.bytes;
      else blocks.delete(block);
    }
    const { memory } = runtime;
    if (memory.bytesLive !== bytesLive || memory.tensors !== tensors)
      throw new Error(`memory is ${JSON.stringify(memory)}, of the model ${bytesLive}, ${tensors}`);
    let [inUse, all] = [0, 0];
    for (const { bytes, free } of (runtime as LamellaRuntime).linear.blocks()) {
      all += bytes;
      if (!free) inUse += bytes;
    }
    if (inUse !== bytesLive || all > memory.bytesReserved || memory.bytesPeak < bytesLive)
      throw new Error(
        `the allocator has ${inUse} in use of ${all}, memory ${JSON.stringify(memory)}`,
      );
  }
}

test(`${programs} programs (seed ${seed}) of calls, disposals, aliases and scopes: memory's figures add up after every step`, {
  timeout: 0,
}, () => {
  const tally = new Tally("programs", programs);
  fc.assert(
    fc.property(
      fc.record({ seed: fc.nat(2 ** 31 - 1), steps: fc.integer({ min: 1, max: 60 }) }),
      ({ seed, steps }) => {
        new Program(new Draw(seed, 33)).run(steps);
        tally.count("right");
      },
    ),
    { numRuns: programs, seed },
  );
});
