/**
 * One JPEG on a canvas. Not an `img` with an object URL: some hosts forbid those, and there would
 * be URLs to give back.
 */

const wanted = new WeakMap<HTMLCanvasElement, Blob | null>();

/** Draws `jpeg`, or nothing, and shows the canvas if there is a picture on it. */
export async function drawStill(canvas: HTMLCanvasElement, jpeg: Blob | null): Promise<void> {
  if (wanted.get(canvas) === jpeg) return;
  wanted.set(canvas, jpeg);
  if (jpeg === null) {
    canvas.hidden = true;
    return;
  }
  const bitmap = await createImageBitmap(jpeg).catch(() => null);
  if (wanted.get(canvas) === jpeg) {
    canvas.hidden = bitmap === null;
    if (bitmap !== null) drawBitmap(canvas, bitmap);
  }
  bitmap?.close();
}

/** Draws a picture at its own size. */
export function drawBitmap(canvas: HTMLCanvasElement, bitmap: ImageBitmap): void {
  // Setting the size clears the canvas and takes memory anew: only when it changes.
  if (canvas.width !== bitmap.width) canvas.width = bitmap.width;
  if (canvas.height !== bitmap.height) canvas.height = bitmap.height;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
}
