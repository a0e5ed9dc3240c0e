/** The `water` section of a home file: what lets water in, what tells how much runs, where it runs out. */
import type { HomeNode } from '../home-node.ts'

export interface Pipe {
  /** A number: litres a minute that run out of it. 0: it is whole. */
  readonly leak: string
  /** Sensors that what runs out reaches, the nearest first. */
  readonly wets: readonly string[]
}

export interface WaterFacts {
  readonly valve: string
  /** Shows litres a minute. */
  readonly meter: string
  /** Numbers: litres a minute that people take. */
  readonly taps: readonly string[]
  readonly pipes: readonly Pipe[]
}

const most = 32

/** Undefined where the file has none. Throws HalError `malformed` with one line that names the place. */
export function readWater(root: HomeNode, entities: ReadonlySet<string>): WaterFacts | undefined {
  const node = root.child('water')
  if (node.absent) return undefined
  const id = (child: HomeNode, kind: string): string => {
    const said = child.text()
    if (!said.startsWith(`${kind}.`) || !entities.has(said))
      child.refuse(`no ${kind} ${JSON.stringify(said)} in this home`)
    return said
  }
  return {
    valve: id(node.child('valve'), 'valve'),
    meter: id(node.child('meter'), 'sensor'),
    taps: node
      .child('taps')
      .list(most)
      .map((tap) => id(tap, 'number')),
    pipes: node
      .child('pipes')
      .list(most)
      .map((pipe) => ({
        leak: id(pipe.child('leak'), 'number'),
        wets: pipe
          .child('wets')
          .list(most)
          .map((sensor) => id(sensor, 'binary_sensor')),
      })),
  }
}
