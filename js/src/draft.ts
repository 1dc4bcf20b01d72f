/** A text that is being edited while the text in force may change beneath it. */

export class Draft {
  /** The text in force changed after the edit began. */
  overtaken = false;
  #text: string;
  #inForce: string;
  #edited = false;

  /** `same`: whether two texts mean the same, so that one need not be applied over the other. */
  constructor(
    inForce: string,
    private readonly same: (a: string, b: string) => boolean = (a, b) => a === b,
  ) {
    this.#text = this.#inForce = inForce;
  }

  get text(): string {
    return this.#text;
  }

  get inForce(): string {
    return this.#inForce;
  }

  get edited(): boolean {
    return this.#edited;
  }

  edit(text: string): void {
    this.#text = text;
    this.#edited = !this.same(text, this.#inForce);
    if (!this.#edited) this.overtaken = false;
  }

  /** Another text is in force: an untouched draft becomes it, an edited one is kept. */
  follow(inForce: string): void {
    if (inForce === this.#inForce) return;
    const edited = this.#edited;
    this.#inForce = inForce;
    this.edit(edited ? this.#text : inForce);
    this.overtaken = this.#edited;
  }

  revert(): void {
    this.edit(this.#inForce);
  }
}
