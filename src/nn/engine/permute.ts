import type { TensorHandle } from "../../tensor/tensor.ts";
import { permutedAxes } from "../graph/axis.ts";
import { Engine } from "./engine.ts";

/** The window has the axes of the forward pass; the gradient moves back along others. */
export class Permute extends Engine {
  private readonly order: readonly number[] = this.settings.order;
  private readonly axes = permutedAxes(this.blueprint.inShape, this.order);
  private readonly back = permutedAxes(
    this.blueprint.outShape,
    this.order.map((_, k) => this.order.indexOf(k)),
  );
  private table!: TensorHandle;

  override makeBuffers(): TensorHandle[] {
    this.table = this.setup.runtime.lasting("int32", [this.back.length]);
    this.table.data.set(this.back);
    return [this.table];
  }

  override forward(N: number): void {
    this.kernels.copy_examples(this.out, this.x, this.window, N, this.axes.length / 3);
  }

  override backward(N: number): void {
    const { kernels, dx, dout, table, back } = this;
    if (dx !== 0) kernels.copy_examples(dx, dout, table.address, N, back.length / 3);
  }
}
