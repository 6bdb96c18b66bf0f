import { itemSize } from "../../tensor/dtype.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import type { Part } from "../graph/record.ts";
import { Engine } from "./engine.ts";

/** Each input is copied into its part of the output, and its gradient back. */
export class Concat extends Engine {
  private readonly parts = this.record.parts?.(this.blueprint.inShapes, this.settings) as Part[];
  private there: TensorHandle[] = [];
  private back: TensorHandle[] = [];

  override makeBuffers(): TensorHandle[] {
    const tables = (turn: (axes: readonly number[]) => readonly number[]) =>
      this.parts.map(({ axes }) => {
        const table = this.setup.runtime.lasting("int32", [axes.length]);
        table.data.set(turn(axes));
        return table;
      });
    this.there = tables((axes) => axes);
    // The same axes with the strides of both arrays exchanged.
    this.back = tables((axes) => axes.map((_, k) => axes[k + [0, 1, -1][k % 3]!] as number));
    return [...this.there, ...this.back];
  }

  private run(N: number, addresses: readonly number[], whole: number, isBack: boolean): void {
    const item = itemSize[this.setup.dtype];
    for (const [k, { from, axes }] of this.parts.entries()) {
      const part = addresses[k] as number;
      if (part === 0) continue;
      const place = whole + from * item;
      const [to, x] = isBack ? [part, place] : [place, part];
      const { address } = (isBack ? this.back : this.there)[k] as TensorHandle;
      this.kernels.copy_examples(to, x, address, N, axes.length / 3);
    }
  }

  override forward(N: number): void {
    this.run(N, this.xs, this.out, false);
  }

  override backward(N: number): void {
    this.run(N, this.dxs, this.dout, true);
  }
}
