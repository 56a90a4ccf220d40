/** Keeps tenants' connections out of the operator's own networks. */
export interface HostGuard {
  /**
   * Resolves a host name once and checks every address. Connect to one of the returned addresses, not to the name: the
   * name may resolve to something else a moment later. HOST_NOT_ALLOWED; Node's own error (ENOTFOUND …), which is the
   * adapter's to classify, when it does not resolve.
   */
  readonly resolve: (host: string) => Promise<readonly string[]>;
}
