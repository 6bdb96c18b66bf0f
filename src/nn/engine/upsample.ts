import { CoreConstants } from "../../runtime/abi.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import { blockAxes, blocks } from "../graph/upsampling.ts";
import { Engine } from "./engine.ts";

/** The gradient of a pixel is the sum over its block. */
export class Upsample extends Engine {
  private readonly axes = blockAxes(this.blueprint.inShape, this.settings);
  private readonly words = blocks.window(this.blueprint.inShape, this.settings);
  private block!: TensorHandle;

  override makeBuffers(): TensorHandle[] {
    this.block = this.setup.runtime.lasting("int32", [this.words.length]);
    this.block.data.set(this.words);
    return [this.block];
  }

  override forward(N: number): void {
    this.kernels.copy_examples(this.out, this.x, this.window, N, this.axes.length / 3);
  }

  override backward(N: number): void {
    const { kernels, dx, dout, block } = this;
    if (dx === 0) return;
    kernels.average_pool_forward(dx, dout, block.address, N, CoreConstants.divideByNothing);
  }
}
