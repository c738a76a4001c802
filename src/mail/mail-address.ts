/** One address as SMTP carries it (at most 254 characters), without a name, a list or anything of a header. */
export function isMailAddress(text: string): boolean {
  return (
    text.length <= 254 && /^[^\s\p{C}@<>,;:"()[\]\\]{1,64}@[^\s\p{C}@<>,;:"()[\]\\]+$/u.test(text)
  )
}
