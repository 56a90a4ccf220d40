/** Whether something that Penstock stands on answers. */
export interface DependencyCheck {
  /** `postgres`, `redis`, `temporal`. */
  readonly name: string;
  /** Resolves within the time given, to a sentence such as a version; rejects with what is wrong. */
  check(timeoutMs: number): Promise<string>;
}
