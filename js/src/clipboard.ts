/** Copying: by the browser's clipboard, or the old way where a page is not trusted with that. */

import { h } from "./dom";

/** Copies a text. False: this page cannot. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // over plain http there is no `navigator.clipboard`
  }
}

function copyBySelection(text: string): boolean {
  const area = h("textarea", { text, style: "position: fixed; opacity: 0" });
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}
