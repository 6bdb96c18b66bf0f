/** What is known of a layer before it has tensors, kernels or a runtime: settings and shapes, checked. */
export interface Blueprint {
  /** "layer 2 (batchnorm)", for messages. */
  readonly place: string;
  /** The shape of one example, before and after. */
  readonly inShape: readonly number[];
  readonly outShape: readonly number[];
  /** The description that a file keeps; its tensors hold the rest. */
  readonly saved: { readonly kind: string };
  /** The shapes of its tensors, by their names in PyTorch's state_dict and in its order. */
  readonly tensors: Readonly<Record<string, readonly number[]>>;
}

/** Checks a description against what comes from below. */
export type Draft<Spec, Saved = Spec> = (
  spec: Spec,
  place: string,
  inShape: readonly number[],
) => Blueprint & { readonly saved: Saved };
