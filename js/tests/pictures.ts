/** Pictures for tests: what a browser would decode and draw, without pixels. */

import { vi } from "vitest";
import type { Fate, Picture } from "../src/messages";
import { FATES } from "../src/messages";
import type { Fake } from "./fake_session";

/** Stands in for decoding and drawing until `vi.unstubAllGlobals` and `vi.restoreAllMocks`. */
export function stubPictures(width = 640, height = 360) {
  const close = vi.fn();
  const drawImage = vi.fn();
  vi.stubGlobal("createImageBitmap", () => Promise.resolve({ width, height, close }));
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue({ drawImage } as never);
  return { close, drawImage };
}

export const JPEG = [new DataView(Uint8Array.of(1, 2, 3).buffer)];

export async function picture(page: Fake, changes: Partial<Picture> = {}): Promise<void> {
  const now = Date.now() / 1000;
  page.say(
    {
      kind: "picture",
      seq: 0,
      media_time: 1,
      shown_at: now,
      sent_at: now,
      sample: null,
      played: false,
      answer: null,
      ...changes,
    },
    JPEG,
  );
  await settled();
}

/** Samples from `first` on, half a second apart. */
export function ticks(page: Fake, first: number, ...fates: Fate[]): void {
  const times = Float64Array.from(fates, (_, i) => (first + i) / 2);
  const codes = Uint8Array.from(fates, (fate) => FATES.indexOf(fate));
  page.say({ kind: "ticks", first }, [new DataView(times.buffer), new DataView(codes.buffer)]);
}

/** Lets promises that are due come to their end. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}
