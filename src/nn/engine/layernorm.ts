import type { TensorHandle } from "../../tensor/tensor.ts";
import { ones, zeros } from "../initializers.ts";
import { Engine } from "./engine.ts";

/** Its tensors are gamma and beta, over the last axis. */
export class Layernorm extends Engine {
  private statistics!: TensorHandle;
  private readonly D: number = this.blueprint.inShape.at(-1) as number;
  private readonly rows: number = this.inSize / this.D;

  protected override first() {
    return { weight: ones(), bias: zeros() };
  }

  override workBytes(): number {
    return this.setup.runtime.core.exports.layernorm_work_bytes(this.D);
  }

  override makeBuffers(N: number): TensorHandle[] {
    this.statistics = this.setup.runtime.lasting("float64", [N * this.rows, 2]);
    return [this.statistics];
  }

  override forward(N: number): void {
    this.kernels.layernorm_forward(
      this.out,
      this.statistics.address,
      this.x,
      this.at(0),
      this.at(1),
      N * this.rows,
      this.D,
      this.settings.eps,
    );
  }

  override backward(N: number): void {
    this.kernels.layernorm_backward(
      this.dx,
      this.gradientAt(0),
      this.gradientAt(1),
      this.dout,
      this.x,
      this.at(0),
      this.statistics.address,
      this.work,
      N * this.rows,
      this.D,
    );
  }
}
