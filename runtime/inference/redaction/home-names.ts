/** What people of a home call its rooms and things, and a redactor that knows them as they are now. */
import { type KnownName, Redactor } from './redactor.ts'

export interface NamedHome {
  readonly areas: readonly { readonly name: string; readonly aliases?: readonly string[] | undefined }[]
  /** Entities, and the devices that they belong to. */
  readonly things: readonly {
    readonly name: string
    readonly device?: { readonly name: string } | undefined
  }[]
}

export function namesOf({ areas, things }: NamedHome): KnownName[] {
  const spoken = areas.flatMap(({ name, aliases = [] }) => [name, withoutBrackets(name), ...aliases])
  return [
    ...spoken.map((name) => ({ kind: 'AREA' as const, name })),
    ...things
      .flatMap(({ name, device }) => (device ? [name, device.name] : [name]))
      .map((name) => ({ kind: 'DEVICE' as const, name })),
  ]
}

/** "Bath (upstairs)" is called "bath". */
function withoutBrackets(name: string): string {
  return name.replace(/\([^)]*\)/g, ' ')
}

/** Made anew when a name is another: `names` is asked at every call, and looked at one by one. */
export function redactorOf(names: () => readonly KnownName[]): () => Redactor {
  let made: { readonly redactor: Redactor; readonly names: readonly KnownName[] } | undefined
  return () => {
    const now = names()
    if (!made || !same(made.names, now)) made = { redactor: new Redactor(now), names: now }
    return made.redactor
  }
}

function same(some: readonly KnownName[], others: readonly KnownName[]): boolean {
  const isSame = ({ kind, name }: KnownName, at: number) =>
    others[at]?.name === name && others[at].kind === kind
  return some.length === others.length && some.every(isSame)
}
