import { h } from "./dom";
import type { Part } from "./view";

export const detail: Part = () => h("div", { class: "ov-detail" });
