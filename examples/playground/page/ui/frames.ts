/** Shows how many frames a second the page draws, and the longest that one took. */
export function showFrames(output: HTMLElement): void {
  let frames = 0;
  let longest = 0;
  let last = performance.now();
  let since = last;
  const tick = (now: number) => {
    frames++;
    longest = Math.max(longest, now - last);
    last = now;
    if (now - since >= 1000) {
      const rate = (1000 * frames) / (now - since);
      output.textContent = `${rate.toFixed(0)} frames/s, longest ${longest.toFixed(0)} ms`;
      [frames, longest, since] = [0, 0, now];
    }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}
