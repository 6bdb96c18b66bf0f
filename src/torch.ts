/**
 * The files of PyTorch: `.pt`, `.pth` and safetensors.
 *
 * @module lamella/torch
 */

export { readTorch } from "./io/importers/torch.ts";
