import { h } from "./dom";
import type { Part } from "./view";

export const promptEditor: Part = () => h("div", { class: "ov-prompt" });
