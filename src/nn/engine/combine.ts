import { itemSize } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import { pairedAxes } from "../graph/broadcasting.ts";
import { Engine } from "./engine.ts";

/** The axes of an operand's gradient, in memory. */
interface Back {
  readonly axes: readonly number[];
  /** The operand has the shape of the output, so that nothing is summed. */
  readonly isWhole: boolean;
  readonly size: number;
  table?: TensorHandle;
}

/** a + b or a · b, broadcast to each other. */
abstract class Combine extends Engine {
  protected abstract readonly isProduct: boolean;
  private readonly rank: number =
    (this.record.window?.([], {}, this.blueprint.inShapes).length ?? 0) / 3;
  private readonly backs: readonly Back[] = this.blueprint.inShapes.map((shape, i, shapes) => {
    const { outShape } = this.blueprint;
    const other = shapes[1 - i] as readonly number[];
    const isWhole = sizeOf(shape) === this.outSize;
    // The gradient is summed over the output's axes, or is the output's times the other operand.
    const axes = pairedAxes(outShape, isWhole ? outShape : shape, other);
    return { axes, isWhole, size: sizeOf(shape) };
  });

  override workBytes(N: number): number {
    const sums = this.backs.filter(({ isWhole }) => !isWhole).map(({ size }) => 8 * size * N);
    return Math.max(0, ...sums);
  }

  override makeBuffers(): TensorHandle[] {
    return this.backs.map((back) => {
      back.table = this.setup.runtime.lasting("int32", [back.axes.length]);
      back.table.data.set(back.axes);
      return back.table;
    });
  }

  override forward(N: number): void {
    const { kernels, out, xs, window, rank, isProduct } = this;
    const run = isProduct ? kernels.multiply_examples : kernels.add_examples;
    run(out, xs[0] as number, xs[1] as number, window, N, rank);
  }

  override backward(N: number): void {
    const { kernels, dout, dxs, xs, work, isProduct, backs } = this;
    for (const [i, { axes, isWhole, size, table }] of backs.entries()) {
      const dx = dxs[i] as number;
      if (dx === 0) continue;
      const { address, data } = table as TensorHandle<"int32">;
      const rank = axes.length / 3;
      const other = isProduct ? (xs[1 - i] as number) : 0;
      if (isWhole && isProduct) kernels.multiply_examples(dx, dout, other, address, N, rank);
      else if (isWhole) this.copy(dx, dout, N);
      else if (N > 0) {
        data[0] = N;
        kernels.sum_broadcast(dx, dout, other, work, address, rank, N * size);
      }
    }
  }

  private copy(to: number, from: number, N: number): void {
    const { runtime, dtype } = this.setup;
    const bytes = N * this.outSize * itemSize[dtype];
    new Uint8Array(runtime.linear.wasm.buffer).copyWithin(to, from, from + bytes);
  }
}

export class Add extends Combine {
  protected override readonly isProduct = false;
}

export class Multiply extends Combine {
  protected override readonly isProduct = true;
}
