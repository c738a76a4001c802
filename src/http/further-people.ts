import { refuseUnisolatedPeople } from '../identity/further-people.ts'
import type { HttpApp } from './http-app.ts'

/** Before somebody besides the first person is let in. Throws `organization.unisolated`. */
export async function refuseFurtherPeople(
  app: Pick<HttpApp, 'config' | 'instance'>,
): Promise<void> {
  const { allowUnisolated } = app.config
  refuseUnisolatedPeople({ isolation: await app.instance.isolation(), allowUnisolated })
}
