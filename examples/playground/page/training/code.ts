// The program that makes and trains what the forms describe.

import type { LayerSpec, Optimizer } from "lamella";
import type { Settings } from "./settings.ts";

/** Constants of a layer may be one number, or one for each feature. */
function literal(value: unknown): string {
  return ArrayBuffer.isView(value) || Array.isArray(value)
    ? JSON.stringify(Array.from(value as ArrayLike<number>))
    : JSON.stringify(value);
}

/** `{ a: 1, b: 2 }` of what is not left out. */
function options(values: Record<string, unknown>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return given.length
    ? `{ ${given.map(([name, value]) => `${name}: ${literal(value)}`).join(", ")} }`
    : "";
}

function layerCode(spec: LayerSpec): string {
  switch (spec.kind) {
    case "affine":
      return `affine(${spec.units}${spec.useBias === false ? ", { useBias: false }" : ""})`;
    case "batchnorm":
      return `batchnorm(${options({ eps: spec.eps, momentum: spec.momentum })})`;
    case "dropout":
      return `dropout(${spec.p})`;
    case "leakyRelu":
      return `leakyRelu(${spec.negativeSlope})`;
    case "normalize":
      return `normalize(${options({ mean: spec.mean, std: spec.std })})`;
    default:
      return `${spec.kind}()`;
  }
}

function optimizerCode({ kind, ...settings }: Optimizer): string {
  return `${kind}(${options(settings)})`;
}

/**
 * A module that builds the model and its trainer, and exports both with a function that trains.
 *
 * @param input numbers of one example
 * @param meaning what x and y are, for the comment
 */
export function codeOf(settings: Settings, input: number, meaning: string): string {
  const { layers, optimizer, loss, l2, batchSize, seed } = settings;
  const imports = [
    ...new Set([...layers.map(({ kind }) => kind), optimizer.kind]),
    "createRuntime",
    "Sequential",
    "Trainer",
  ].sort((a, b) => a.toLowerCase().localeCompare(b.toLowerCase()));
  const decay = l2 > 0 ? `\n  l2: ${l2},` : "";
  return `import {
  ${imports.join(",\n  ")},
} from "lamella";

const runtime = await createRuntime();
export const model = new Sequential(runtime, {
  input: [${input}],
  layers: [
    ${layers.map(layerCode).join(",\n    ")},
  ],
  seed: ${seed},
});
export const trainer = new Trainer(model, {
  loss: "${loss}",
  optimizer: ${optimizerCode(optimizer)},${decay}
  seed: ${seed},
});
console.log(\`\${model}\`);

// ${meaning}
export async function train(x, y, epochs) {
  for await (const event of trainer.fit({ x, y }, { epochs, batchSize: ${batchSize} })) {
    if (event.type === "epoch") console.log(event.epoch, event.loss, event.accuracy);
  }
}
`;
}
