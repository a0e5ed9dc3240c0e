/**
 * Who may say and read what, where a broker has users at all: only gateways say what they offer and read what devices ask of them,
 * a device asks in its own name, and calls and answers are read by the one that they are for. Whoever could send adverts, or read
 * answers, could collect what the home's microphones hear; a call to `hear` has the ticket of a recording.
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
  if (isOf(user, about.device)) return undefined
  return `${user.clientId} may not ask as ${about.device}`
}

/** Whether what was published on `topic` may be handed to this user, whatever it subscribed to. */
export function mayRead(topics: Topics, topic: string, user: TopicUser): boolean {
  if (user.gateway) return true
  const about = topics.parseGateway(topic)
  if (about) return about.kind === 'advert'
  const call = topics.parse(topic)
  const addressee = call?.kind === 'rpc' ? call.device : topics.replyOf(topic)
  return addressee === undefined || isOf(user, addressee)
}

/** The id of a device's own link, or that of a program which asks in its own name. */
function isOf({ clientId }: TopicUser, device: string): boolean {
  return clientId === `ganglion-${device}` || clientId === device
}
