import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord } from "../graph/record.ts";

export const geluRecord: ServingRecord<"gelu"> = {
  kind: "gelu",
};

/**
 * out = x · Φ(x), Φ being the distribution function of the normal distribution: the exact form,
 * which is PyTorch's default. Any shape.
 */
export const gelu = /* @__PURE__ */ plainLayer(geluRecord, {
  Engine: Elementwise,
  keeps: "x",
  hidden: "activation",
});
