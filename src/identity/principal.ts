/** Who asks, and for which organization. Everything that a request touches is looked up within it. */
export type Principal =
  | { kind: 'operator'; organizationId: string }
  | { kind: 'token'; organizationId: string; tokenId: string; tokenName: string }
