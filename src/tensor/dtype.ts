/** The type of a tensor's elements. */
export type DType = "float32" | "float64" | "int32";

/** The dtypes that layers and losses compute in. */
export type FloatDType = "float32" | "float64";

interface TypedArrays {
  float32: Float32Array<ArrayBuffer>;
  float64: Float64Array<ArrayBuffer>;
  int32: Int32Array<ArrayBuffer>;
}

/** The typed array that holds elements of a dtype. */
export type TypedArrayOf<D extends DType> = TypedArrays[D];

/** The dtype that a typed array's elements have. */
export type DTypeOf<A> = A extends Float32Array
  ? "float32"
  : A extends Float64Array
    ? "float64"
    : A extends Int32Array
      ? "int32"
      : never;

export const typedArrays = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
} as const;

export const itemSize: Record<DType, number> = { float32: 4, float64: 8, int32: 4 };
