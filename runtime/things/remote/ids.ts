/** Ids of things of other devices: `<entity>@<device>`. An id or a pattern without `@` is of this device alone. */

export interface Placed {
  readonly entity: string
  /** A device, or a pattern of devices; undefined where none is named. */
  readonly device: string | undefined
}

export function placed(id: string): Placed {
  const at = id.indexOf('@')
  return at < 0 ? { entity: id, device: undefined } : { entity: id.slice(0, at), device: id.slice(at + 1) }
}

/** The id on the device `own` itself, where it is that one's; else as it is. */
export function ownId(id: string, own: string): string {
  const { entity, device } = placed(id)
  return device === own ? entity : id
}

export const elsewhere = (entity: string, device: string): string => `${entity}@${device}`
