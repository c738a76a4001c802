/** JSON with cookies beside it, for handlers whose answer is more than a body. Each of `setCookies` is a whole header. */
export function jsonResponse(
  status: number,
  body: unknown,
  options: { setCookies?: readonly string[] } = {},
): Response {
  const empty = status === 204 || body === undefined
  const response = empty ? new Response(null, { status }) : Response.json(body, { status })
  for (const cookie of options.setCookies ?? []) response.headers.append('set-cookie', cookie)
  return response
}
