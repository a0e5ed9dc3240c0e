/**
 * Who may do what below `<base>/gateway/`, where a broker has users at all: only gateways say what they offer and read what devices
 * ask of them, and a device asks in its own name. Whoever could send adverts could collect what the home's microphones hear.
 */
import type { Topics } from '../../runtime/wire/topics.ts'

export interface TopicUser {
  readonly clientId: string
  /** The gateway's own connection, or a user whom the configuration calls one. */
  readonly gateway: boolean
}

/** Why this user may not publish on `topic`; undefined where it may, and for any other topic. */
export function gatewayPublishFault(topics: Topics, topic: string, user: TopicUser): string | undefined {
  const about = topics.parseGateway(topic)
  if (!about || user.gateway) return undefined
  if (about.kind === 'advert') return 'only gateways may say what they offer'
  // The id of a device's own link, or that of a program which asks in its own name.
  if (user.clientId === `ganglion-${about.device}` || user.clientId === about.device) return undefined
  return `${user.clientId} may not ask as ${about.device}`
}

/** Whether what was published on `topic` may be handed to this user. */
export function mayReadGateway(topics: Topics, topic: string, user: TopicUser): boolean {
  if (user.gateway) return true
  const about = topics.parseGateway(topic)
  return about === undefined || about.kind === 'advert'
}
