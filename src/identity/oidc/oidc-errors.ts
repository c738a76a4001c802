/** Why single sign-on ended without success: the codes that pages find in `?error=`, and what they say then. */
export const OIDC_ERRORS = {
  oidc_expired:
    'This sign-in was used already, took over ten minutes, or was begun in another browser. Begin again',
  oidc_denied: 'The identity provider did not let you in',
  oidc_unavailable: 'The identity provider does not answer. Try again in a moment',
  oidc_invalid: 'The answer of the identity provider could not be accepted. The log has the reason',
  oidc_unknown_person:
    'Nobody here is linked to this identity. Sign in with your password and link it, or use your invitation',
  oidc_invitation_invalid:
    'This invitation was used, taken back, has expired, or is for somebody else. Ask for another one',
  oidc_email_taken:
    'Somebody with the invited e-mail address exists already. Sign in as them and link this identity',
  oidc_linked_to_other: 'This identity is linked to somebody else',
} as const

export type OidcError = keyof typeof OIDC_ERRORS
