// The exports of the predictor's core: what serves a float32 model, out of the same sources.

export { heap_base, predict_f32, predict_pack_f32, predict_work_bytes_f32 } from "./index";
