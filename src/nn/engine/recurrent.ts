import { RecurrenceWords } from "../../runtime/abi.ts";
import { itemSize } from "../../tensor/dtype.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import { type Direction, partsOf, stackOf } from "../graph/recurrent.ts";
import { constant, type Initializer, uniform, zeros } from "../initializers.ts";
import { Engine } from "./engine.ts";

/** What a layer in one direction has beside its tensors. */
interface Part extends Direction {
  readonly words: TensorHandle<"int32">;
  readonly gates: TensorHandle;
  readonly cells: TensorHandle;
  /** (N, H), the last states, and the gradient of the last h. */
  readonly h: TensorHandle;
  readonly c: TensorHandle;
  readonly dh: TensorHandle;
  /** The number of its first tensor among the slots. */
  readonly slot: number;
}

/** rnn, lstm and gru: layers on top of each other, in one direction or two side by side. */
export class Recurrent extends Engine {
  private parts: Part[] = [];
  /** (N, T, directions · H) of each layer, and their gradients but that of the last. */
  private sequences: TensorHandle[] = [];
  private gradients: TensorHandle[] = [];
  /** (N, T, features), the gradient of a layer's input by the second direction. */
  private second: TensorHandle | undefined;

  private get T(): number {
    return this.blueprint.inShape[0] as number;
  }

  private get H(): number {
    return this.settings.units;
  }

  private get directions(): number {
    return this.settings.bidirectional ? 2 : 1;
  }

  private get width(): number {
    return this.directions * this.H;
  }

  /** The blocks of its weights. */
  private get G(): number {
    return (this.record.torchBlocks as readonly number[]).length;
  }

  private get stack(): Direction[] {
    return stackOf(this.blueprint.inShape[1] as number, this.settings);
  }

  protected override first({ weight }: { weight?: Initializer }) {
    const bound = 1 / Math.sqrt(this.H);
    const given = weight ?? uniform(-bound, bound);
    if (typeof given !== "function") {
      throw new TypeError(`${this.blueprint.place}: weight must be an initializer, as heNormal()`);
    }
    // The cell of an lstm is kept at first.
    const bias: Initializer = (shape) => {
      const values = zeros()(shape, undefined as never) as Float64Array;
      if (this.G === 4) values.set(constant(1)([this.H], undefined as never), this.H);
      return values;
    };
    const of: Record<string, Initializer> = { wx: given, wh: given, b: bias, bh: zeros() };
    return Object.fromEntries(
      this.stack.flatMap(({ suffix }) =>
        partsOf(this.settings).map((part) => [part + suffix, of[part] as Initializer]),
      ),
    );
  }

  override makeBuffers(N: number): TensorHandle[] {
    const { T, H, G, width } = this;
    const { runtime, dtype } = this.setup;
    const all: TensorHandle[] = [];
    const keep = <H extends TensorHandle>(tensor: H): H => {
      all.push(tensor);
      return tensor;
    };
    const make = (...shape: number[]) => keep(runtime.lasting(dtype, shape));
    try {
      const { layers } = this.settings;
      const each = partsOf(this.settings).length;
      this.sequences = Array.from({ length: layers }, () => make(N, T, width));
      this.gradients = Array.from({ length: layers - 1 }, () => make(N, T, width));
      const features = Math.max(...this.stack.map(({ D }) => D));
      this.second = this.directions === 2 ? make(N, T, features) : undefined;
      this.parts = this.stack.map((direction, i) => ({
        ...direction,
        words: keep(runtime.lasting("int32", [RecurrenceWords.length])),
        gates: make(N, T, G * H),
        cells: make(N, T, H),
        ...{ h: make(N, H), c: make(N, H), dh: make(N, H) },
        slot: each * i,
      }));
      return all;
    } catch (error) {
      for (const tensor of all) tensor.dispose();
      throw error;
    }
  }

  private get kernelName() {
    return this.record.kind as "rnn" | "lstm" | "gru";
  }

  override workBytes(N: number): number {
    const { kernels, kernelName } = this;
    let most = 0;
    // Products of a few rows take another path, with a workspace of their own size.
    for (const n of [1, 2, N]) {
      for (const part of this.parts) {
        this.describe(part, n);
        most = Math.max(most, kernels[`${kernelName}_forward_work_bytes`](part.words.address));
        most = Math.max(most, kernels[`${kernelName}_backward_work_bytes`](part.words.address));
      }
    }
    return most;
  }

  /** Writes what the kernels go by; `more` has what backward takes beside. */
  private describe(part: Part, N: number, more: Record<number, number> = {}): void {
    const { T, H, width, settings } = this;
    const { layer, isReverse, D, slot } = part;
    const isLstm = this.G === 4;
    const size = itemSize[this.setup.dtype];
    const aside = isReverse ? H * size : 0;
    const below = this.sequences[layer - 1];
    const values = partsOf(settings).map((_, i) => this.at(slot + i));
    const keepsCells = isLstm || settings.resetAfter;
    Object.assign(part.words.data.fill(0), {
      ...{ [RecurrenceWords.N]: N, [RecurrenceWords.T]: T, [RecurrenceWords.D]: D },
      ...{ [RecurrenceWords.H]: H, [RecurrenceWords.pitch]: width },
      [RecurrenceWords.isReverse]: Number(isReverse),
      [RecurrenceWords.resetAfter]: Number(settings.resetAfter ?? false),
      [RecurrenceWords.x]: below ? below.address : this.x,
      [RecurrenceWords.wx]: values[0],
      [RecurrenceWords.wh]: values[1],
      [RecurrenceWords.b]: values[2],
      [RecurrenceWords.bh]: values[3] ?? 0,
      [RecurrenceWords.out]: (this.sequences[layer] as TensorHandle).address + aside,
      [RecurrenceWords.h]: part.h.address,
      [RecurrenceWords.c]: isLstm ? part.c.address : 0,
      [RecurrenceWords.gates]: this.G === 1 ? 0 : part.gates.address,
      [RecurrenceWords.cells]: keepsCells ? part.cells.address : 0,
      [RecurrenceWords.work]: this.work,
      ...more,
    });
  }

  /** Copies rows of H between states of one direction and rows that have those of all. */
  private exchange(from: number, fromPitch: number, to: number, toPitch: number, N: number): void {
    const { runtime, dtype } = this.setup;
    const size = itemSize[dtype];
    const bytes = new Uint8Array(runtime.linear.wasm.buffer);
    const row = this.H * size;
    for (let n = 0; n < N; n++) {
      const start = from + n * fromPitch * size;
      bytes.copyWithin(to + n * toPitch * size, start, start + row);
    }
  }

  /** What comes out is a copy, as backward reads the states of all steps. */
  override forward(N: number): void {
    const { kernels, kernelName, H, T, width, settings, parts } = this;
    for (const part of parts) {
      this.describe(part, N);
      kernels[`${kernelName}_forward`](part.words.address);
    }
    const { runtime, dtype } = this.setup;
    const size = itemSize[dtype];
    if (settings.returnSequences) {
      const { address } = this.sequences[settings.layers - 1] as TensorHandle;
      const bytes = new Uint8Array(runtime.linear.wasm.buffer);
      bytes.copyWithin(this.out, address, address + N * T * width * size);
      return;
    }
    for (const { layer, isReverse, h } of parts) {
      if (layer + 1 < settings.layers) continue;
      this.exchange(h.address, H, this.out + (isReverse ? H * size : 0), width, N);
    }
  }

  override backward(N: number): void {
    const { kernels, kernelName, H, T, width, settings, parts } = this;
    const size = itemSize[this.setup.dtype];
    for (const part of parts.toReversed()) {
      const { layer, isReverse, dh, slot, D } = part;
      const isTop = layer + 1 === settings.layers;
      const aside = isReverse ? H * size : 0;
      const up = isTop ? this.dout : (this.gradients[layer] as TensorHandle).address;
      const isLast = isTop && !settings.returnSequences;
      if (isLast) this.exchange(up + aside, width, dh.address, H, N);
      // The way back comes first here, and the way there adds its own to it.
      const dx = layer === 0 ? this.dx : (this.gradients[layer - 1] as TensorHandle).address;
      const isAdded = dx !== 0 && this.directions === 2 && !isReverse;
      const own = isAdded ? (this.second as TensorHandle).address : dx;
      const gradients = partsOf(settings).map((_, i) => this.gradientAt(slot + i));
      this.describe(part, N, {
        [RecurrenceWords.dout]: isLast ? 0 : up + aside,
        [RecurrenceWords.dh]: isLast ? dh.address : 0,
        [RecurrenceWords.dx]: own,
        [RecurrenceWords.dwx]: gradients[0] as number,
        [RecurrenceWords.dwh]: gradients[1] as number,
        [RecurrenceWords.db]: gradients[2] as number,
        [RecurrenceWords.dbh]: gradients[3] ?? 0,
      });
      kernels[`${kernelName}_backward`](part.words.address);
      if (isAdded) kernels.axpy(N * T * D, 1, own, dx);
    }
  }
}
