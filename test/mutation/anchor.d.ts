export interface Place {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}
export function locate(mutant: { readonly within: string; readonly from: string }): Place;
