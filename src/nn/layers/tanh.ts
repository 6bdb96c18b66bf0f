import { Elementwise } from "../engine/elementwise.ts";
import { plainLayer } from "../engine/kinds.ts";
import type { ServingRecord } from "../graph/record.ts";

export const tanhRecord: ServingRecord<"tanh"> = {
  kind: "tanh",
};

/** out = tanh(x), any shape. */
export const tanh = /* @__PURE__ */ plainLayer(tanhRecord, {
  Engine: Elementwise,
  inPlace: true,
  keeps: "out",
  keepsSign: true,
  hidden: "activation",
});
