import { type Initializer, zeros } from "../initializers.ts";
import { Engine } from "./engine.ts";

/** The layers whose weight and bias begin with values that their description may name. */
export abstract class Weighted extends Engine {
  protected override first(spec: { weight?: Initializer; bias?: Initializer }) {
    const { weight = this.setup.initializer, bias = zeros() } = spec;
    if (typeof weight !== "function" || typeof bias !== "function") {
      throw new TypeError(
        `${this.blueprint.place}: weight and bias must be initializers, as heNormal()`,
      );
    }
    return { weight, bias };
  }
}
