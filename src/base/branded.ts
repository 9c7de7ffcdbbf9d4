/** A primitive that must not be mistaken for another of the same kind. `as` makes one; nothing happens at run time. */
export type Branded<T, Name extends string> = T & { readonly __brand: Name }
