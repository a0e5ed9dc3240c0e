/** Who acts: whom the gateway and the device know, and what somebody says of themselves here. A PIN is forgotten once it was sent. */
import { signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { api, type Said } from '../api.ts'
import { session } from '../state/agents.ts'
import { devices } from '../state/home.ts'

/** What must be said before it is asked: nothing where nobody is known, a name at least, or what proves it. */
type Needs = 'nothing' | 'name' | 'proof'

export interface Who {
  /** Those whom the device itself knows by a PIN. */
  readonly people: 'asking' | 'unknown' | readonly string[]
  /** Asks the device once more. */
  readonly askAgain: () => void
  readonly by: string
  readonly setBy: (name: string) => void
  readonly pin: string
  readonly setPin: (pin: string) => void
  /** Only a person of the household may, and this visitor is none. */
  readonly locked: boolean
  /** Proof is needed, and nobody is known here: it is to be given elsewhere. */
  readonly unprovable: boolean
  /** The person as whom the gateway knows this visitor, where that is proof enough. */
  readonly person: string | undefined
  /** All that must be said is. */
  readonly ready: boolean
  readonly said: Said
}

export function useWho(device: string, needs: Needs): Who {
  const people = usePeople(device)
  const [by, setBy] = useState('')
  const [pin, setPin] = useState('')
  const told = typeof people === 'object'
  const known = told && people.length > 0
  // What the device itself can check is proof enough.
  const locked = session.value?.answers === false && !known
  const person = known ? undefined : session.value?.person
  const unprovable = told && !known && !locked && person === undefined && needs === 'proof'
  const name = by.trim()
  const whole = known ? name !== '' && pin.length >= 4 : name !== '' || needs === 'nothing'
  const ready = told && !locked && !unprovable && (person !== undefined || whole)
  // Half a PIN is none.
  const proof = known && pin.length >= 4 ? { pin } : {}
  const said = person !== undefined || name === '' ? {} : { by: name, ...proof }
  return {
    ...{ people, by, setBy, pin, setPin, locked, unprovable, person, ready, said },
    askAgain: () => void askPeople(device),
  }
}

/** By device. Cards ask together: a device answers few calls at once. */
const peopleOf = signal<ReadonlyMap<string, Who['people']>>(new Map())
const underway = new Set<string>()

function usePeople(device: string): Who['people'] {
  const online = devices.value.some((one) => one.id === device && one.availability === 'online')
  useEffect(() => {
    if (online) void askPeople(device)
  }, [device, online])
  return peopleOf.value.get(device) ?? 'asking'
}

/** What is known stays where the device does not say. Never rejects. */
async function askPeople(device: string): Promise<void> {
  if (underway.has(device)) return
  underway.add(device)
  const before = peopleOf.peek().get(device)
  if (before === 'unknown') setPeople(device, 'asking')
  const result = await api.approvals(device).catch(() => undefined)
  underway.delete(device)
  setPeople(device, result?.people ?? (typeof before === 'object' ? before : 'unknown'))
}

function setPeople(device: string, people: Who['people']): void {
  peopleOf.value = new Map([...peopleOf.peek(), [device, people]])
}
