import { messageOf } from '../lib/errors.ts'
import type { HttpApp } from './http-app.ts'

/** The records are changed already: a traffic process that is away gets the routes when it is back. */
export async function publish(app: Pick<HttpApp, 'publishRoutes' | 'log'>): Promise<void> {
  try {
    await app.publishRoutes()
  } catch (error) {
    app.log.warn('Routes were not published', { reason: messageOf(error) })
  }
}
