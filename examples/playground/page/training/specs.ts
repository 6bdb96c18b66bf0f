import type { LayerSpec, Sequential } from "lamella";

/** The descriptions of a model that came from a file, with the constants that the file keeps in tensors. */
export function specsOf(model: Sequential): LayerSpec[] {
  const state = model.stateDict();
  const constants = (name: string) => {
    const values = Array.from(state[name]!.data);
    return values.every((value) => value === values[0]) ? values[0]! : values;
  };
  return model.layers.map((spec, i) =>
    spec.kind === "normalize"
      ? { kind: spec.kind, mean: constants(`${i}.mean`), std: constants(`${i}.std`) }
      : spec,
  );
}
