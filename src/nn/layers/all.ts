// All kinds of layers: the records for what serves models, and the functions for what trains them.
// scripts/build/layers.js makes the tables from the files of this folder.

import type { gelu } from "./gelu.ts";
import type { sigmoid } from "./sigmoid.ts";
import type { softmax } from "./softmax.ts";
import type { tanh } from "./tanh.ts";

export { everyKind, type LayerSpec, records, trainings } from "../../../build/layers.ts";

/** The description of sigmoid(), tanh(), gelu() or softmax(). */
export type ActivationSpec = ReturnType<
  typeof gelu | typeof sigmoid | typeof softmax | typeof tanh
>;
