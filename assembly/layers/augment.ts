// Random variants of training images: each is shifted, turned over, cropped and turned by a map of
// its own, and drawn anew from the image by bilinear interpolation. What lies outside is 0.
//
// The map of an example is (2, 3): pixel (i, j) of the output comes from row m₀ · i + m₁ · j + m₂
// and column m₃ · i + m₄ · j + m₅ of the image. A map of whole numbers moves pixels and changes no
// bit of them.

import { cos } from "../math/cos";
import { philox4x32x4 } from "../random/philox";
import { SHARED } from "../threads/queue";
import { at, jobOf, planSplit, split } from "../threads/split";

/** @inline */
const HALF_PI: f64 = 1.5707963267948966;
/** Each example takes four blocks of the generator. @constant augmentBlocks @inline */
const BLOCKS: u32 = 4;

/** What is drawn, and where the draws come from. */
@unmanaged
class Settings {
  /** The image moves by up to this many whole pixels in each direction. */
  shift: f64;
  /** This much of either side is cut off at most. */
  crop: f64;
  /** The image is turned by up to this many radians in each direction. */
  angle: f64;
  /** The probability of turning left and right over. */
  flip: f64;
  key: f64;
  counterLow: f64;
  counterHigh: f64;
}

/** Returns the draw number i of an example, uniform on [0, 1). @inline */
function draw(words: usize, i: usize): f64 {
  return <f64>load<u32>(words + 4 * i) / 4294967296.0;
}

/** maps (N, 2, 3) float64, each from four blocks of the generator. @kernel */
export function augmentDraw(
  maps: usize, // (N, 2, 3) float64
  settings: usize, // Settings
  work: usize, // 64 bytes
  N: usize,
  H: usize,
  W: usize,
): void {
  const s = changetype<Settings>(settings);
  const key = <u64>s.key;
  let counter = ((<u64>s.counterHigh) << 32) | <u64>s.counterLow;
  const cy = 0.5 * (<f64>H - 1);
  const cx = 0.5 * (<f64>W - 1);
  for (let n: usize = 0; n < N; n++) {
    philox4x32x4(work, key, counter);
    counter += BLOCKS;
    const most = 2 * s.shift + 1;
    const angle = s.angle * (2 * draw(work, 4) - 1);
    const size = 1 - s.crop * draw(work, 5);
    const mirror: f64 = draw(work, 6) < s.flip ? -1 : 1;
    const down = floor(draw(work, 0) * most) - s.shift + (1 - size) * cy * (2 * draw(work, 1) - 1);
    const right = floor(draw(work, 2) * most) - s.shift + (1 - size) * cx * (2 * draw(work, 3) - 1);
    const c = size * cos(angle);
    // The sine is exactly 0 where nothing is turned, as π/2 is not.
    const d: f64 = angle == 0 ? 0 : size * cos(angle - HALF_PI);
    const m0 = c;
    const m1 = -d * mirror;
    const m3 = d;
    const m4 = c * mirror;
    store<f64>(maps, m0);
    store<f64>(maps, m1, 8);
    store<f64>(maps, cy + down - (m0 * cy + m1 * cx), 16);
    store<f64>(maps, m3, 24);
    store<f64>(maps, m4, 32);
    store<f64>(maps, cx + right - (m3 * cy + m4 * cx), 40);
    maps += 48;
  }
}

@unmanaged
class ImagesJob {
  to: usize;
  input: usize;
  maps: usize;
  H: usize;
  W: usize;
  C: usize;
}

/** out = each image of x as its map draws it. @kernel */
export function augmentForward<T extends number>(
  out: usize, // (N, H, W, C)
  x: usize, // (N, H, W, C)
  maps: usize, // (N, 2, 3) float64
  N: usize,
  H: usize,
  W: usize,
  C: usize,
): void {
  const size = H * W * C;
  if (SHARED && planSplit(N, 8 * size * sizeof<T>())) {
    const job = jobOf<ImagesJob>();
    job.to = out;
    job.input = x;
    job.maps = maps;
    job.H = H;
    job.W = W;
    job.C = C;
    split((from, N) => {
      const j = jobOf<ImagesJob>();
      const skipped = from * j.H * j.W * j.C;
      const x = at<T>(j.input, skipped);
      augmentForward<T>(at<T>(j.to, skipped), x, j.maps + 48 * from, N, j.H, j.W, j.C);
    });
    return;
  }
  for (let n: usize = 0; n < N; n++) {
    warp<T>(at<T>(out, n * size), at<T>(x, n * size), maps + 48 * n, H, W, C, false);
  }
}

/** dx = the gradient of augmentForward for its x: what a pixel gave, it gets back. @kernel */
export function augmentBackward<T extends number>(
  dx: usize, // (N, H, W, C)
  dout: usize, // (N, H, W, C)
  maps: usize, // (N, 2, 3) float64
  N: usize,
  H: usize,
  W: usize,
  C: usize,
): void {
  const size = H * W * C;
  memory.fill(dx, 0, N * size * sizeof<T>());
  for (let n: usize = 0; n < N; n++) {
    warp<T>(at<T>(dout, n * size), at<T>(dx, n * size), maps + 48 * n, H, W, C, true);
  }
}

/** Goes over the pixels of one output, and draws them from the image or gives them back to it. */
function warp<T extends number>(
  out: usize, // (H, W, C)
  image: usize, // (H, W, C)
  map: usize,
  H: usize,
  W: usize,
  C: usize,
  isBackward: bool,
): void {
  const pixel = C * sizeof<T>();
  for (let i: usize = 0; i < H; i++) {
    for (let j: usize = 0; j < W; j++) {
      const y = load<f64>(map) * <f64>i + load<f64>(map, 8) * <f64>j + load<f64>(map, 16);
      const x = load<f64>(map, 24) * <f64>i + load<f64>(map, 32) * <f64>j + load<f64>(map, 40);
      const top = floor(y);
      const left = floor(x);
      if (!isBackward) memory.fill(out, 0, pixel);
      for (let k: i32 = 0; k < 4; k++) {
        const v = top + <f64>(k >> 1);
        const u = left + <f64>(k & 1);
        // A cell of weight 0 has no part, so that what is infinite there does not become NaN.
        const weight = (1 - abs(y - v)) * (1 - abs(x - u));
        if (weight == 0 || !(v >= 0 && v < <f64>H && u >= 0 && u < <f64>W)) continue;
        const cell = image + (<usize>v * W + <usize>u) * pixel;
        const to = isBackward ? cell : out;
        const from = isBackward ? out : cell;
        for (let c: usize = 0; c < pixel; c += sizeof<T>()) {
          store<T>(to + c, <T>(load<T>(to + c) + <T>(<T>weight * load<T>(from + c))));
        }
      }
      out += pixel;
    }
  }
}
