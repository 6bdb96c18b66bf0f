// Where the cells of an output come from in an image, for convolution and pooling. The facade
// writes it, and has the offsets of these fields from build/abi.ts.

/**
 * An image (H, W, C) and the window that goes over it, whose every place is one pixel of the output
 * (OH, OW, F). Cell (u, v) of the window of pixel (i, j) is at row i · SH + u · DH − top and column
 * j · SW + v · DW − left of the image; beyond it there is padding.
 */
@unmanaged
export class Window {
  H: u32;
  W: u32;
  /** The channels of the image. */
  C: u32;
  OH: u32;
  OW: u32;
  /** The channels of the output, which pooling has as many of as the image. */
  F: u32;
  /** The rows and columns of cells in the window. */
  KH: u32;
  KW: u32;
  /** From one place of the window to the next there are this many rows and columns. */
  SH: u32;
  SW: u32;
  /** The padding above the image and on its left. */
  top: u32;
  left: u32;
  /** From one cell of the window to the next there are this many rows and columns. */
  DH: u32;
  DW: u32;
  /** The channels are in so many groups, and those of a group see their own alone. */
  groups: u32;
  /** The padding below and on the right, which an average may count; no window goes beyond it. */
  bottom: u32;
  right: u32;
}
