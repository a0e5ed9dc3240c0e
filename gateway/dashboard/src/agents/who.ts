/** Who acts: whom the gateway and the device know, and what somebody says of themselves here. A PIN is forgotten once it was sent. */
import { useEffect, useState } from 'preact/hooks'
import { api, type Said } from '../api.ts'
import { session } from '../state/agents.ts'
import { devices } from '../state/home.ts'

export interface Who {
  /** Those whom the device itself knows by a PIN. Undefined: it is being asked. */
  readonly people: readonly string[] | undefined
  readonly by: string
  readonly setBy: (name: string) => void
  readonly pin: string
  readonly setPin: (pin: string) => void
  /** Only a person of the household may, and this visitor is none. */
  readonly locked: boolean
  /** The person as whom the gateway knows this visitor, where that is proof enough. */
  readonly person: string | undefined
  /** All that must be said is. */
  readonly ready: boolean
  readonly said: Said
}

/** `named`: whoever is not known gives a name at least. */
export function useWho(device: string, { named }: { readonly named: boolean }): Who {
  const people = usePeople(device)
  const [by, setBy] = useState('')
  const [pin, setPin] = useState('')
  const known = people !== undefined && people.length > 0
  // What the device itself can check is proof enough.
  const locked = session.value?.answers === false && !known
  const person = known ? undefined : session.value?.person
  const name = by.trim()
  const ready =
    people !== undefined &&
    !locked &&
    (person !== undefined || (known ? name !== '' && pin.length >= 4 : name !== '' || !named))
  const said = person !== undefined || name === '' ? {} : { by: name, ...(known ? { pin } : {}) }
  return { people, by, setBy, pin, setPin, locked, person, ready, said }
}

function usePeople(device: string): readonly string[] | undefined {
  const [people, setPeople] = useState<readonly string[]>()
  const online = devices.value.some((one) => one.id === device && one.availability === 'online')
  useEffect(() => {
    if (!online) return
    let over = false
    api.approvals(device).then(
      (result) => !over && setPeople(result.people),
      // The device then says by itself that it wants a PIN.
      () => !over && setPeople((before) => before ?? []),
    )
    return () => {
      over = true
    }
  }, [device, online])
  return people
}
