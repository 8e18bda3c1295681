// An answer that cannot be had: `kind` is "refused" (the question is wrong), "denied" or "gone".
export class Problem extends Error {
  constructor(text, kind) {
    super(text);
    this.kind = kind;
  }
}

export const NOT_EMBEDDED = "This is not a part of the saved view; jaxlog serve shows all.";
