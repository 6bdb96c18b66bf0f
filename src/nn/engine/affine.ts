import { Weighted } from "./weighted.ts";

export class Affine extends Weighted {
  override workBytes(N: number): number {
    const { kernels, inSize: D, outSize: M } = this;
    let most = 0;
    // A product of one row or two takes another path, with a workspace of its own size.
    for (const n of [1, 2, N]) {
      most = Math.max(
        most,
        kernels.affine_forward_work_bytes(n, D, M),
        kernels.affine_backward_work_bytes(n, D, M),
      );
    }
    return most;
  }

  override forward(N: number): void {
    const { kernels, out, x, work, inSize, outSize } = this;
    const forward = this.takesRelu ? kernels.affine_relu_forward : kernels.affine_forward;
    forward(out, x, this.at(0), this.at(1), work, N, inSize, outSize);
  }

  override backward(N: number): void {
    this.kernels.affine_backward(
      this.dx,
      this.gradientAt(0),
      this.gradientAt(1),
      this.dout,
      this.x,
      this.at(0),
      this.work,
      N,
      this.inSize,
      this.outSize,
    );
  }
}
