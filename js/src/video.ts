import { h } from "./dom";
import type { Part } from "./view";

export const video: Part = () => h("div", { class: "ov-video" });
